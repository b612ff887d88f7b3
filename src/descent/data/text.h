// Small helpers for text that comes from files and goes into messages.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace descent::data {

// The finite decimal number that is the whole of `text` ("+1.5e3"; no blanks), or false.
bool parse_number(std::string_view text, double& out);
// The shortest text that reads back as x; whole numbers without a point: "1", "0.5".
std::string format_number(double x);
// 1234567 -> "1,234,567".
std::string with_commas(std::int64_t n);
// For an error message: at most 40 bytes, quoted, unprintable bytes as \x00.
std::string printable(std::string_view text);
// The text itself where it is valid UTF-8; otherwise every byte read as Latin-1.
std::string to_utf8(std::string_view text);
bool is_utf8(std::string_view text);
// "1 row", "2 rows".
std::string counted(std::int64_t n, std::string_view noun);
// The name after the last '/'.
std::string base_name(const std::string& path);

}  // namespace descent::data
