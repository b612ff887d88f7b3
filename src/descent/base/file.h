// Files: whole reads (gz and zstd unpacked by content, not by name) and atomic writes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace descent {

// Whole content; an Error of kind data that says why where it cannot be read.
std::string read_file(const std::string& path);
// The same, unpacked where it begins with the magic number of gzip or zstd. A damaged or cut
// stream is a data error that names the byte offset.
std::string read_unpacked(const std::string& path);

// Writes a temporary file beside `path`, flushes it to the disk (fsync of file and folder) and
// renames: a reader sees the old content or the new, never a part.
void write_file_atomic(const std::string& path, std::string_view content);
// The same without waiting for the disk: for what can be made again.
void replace_file(const std::string& path, std::string_view content);
void append_line(const std::string& path, std::string_view line);

std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0);

}  // namespace descent
