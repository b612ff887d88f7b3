#include "descent/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "descent/base/error.h"

namespace descent {
namespace {

// Calls a system call again where a signal interrupted it.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

[[noreturn]] void fail(const std::string& path, const char* doing, int code,
                       std::string remedy = {}) {
  if (code == ENOENT && remedy.empty()) remedy = "check the path and the working directory";
  throw Error(ErrorKind::data, fmt::format("cannot {}: {}", doing, std::strerror(code)), path,
              std::move(remedy));
}

// A file descriptor that is closed when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // close() reports what delayed writing lost (network file systems). Not retried on EINTR: Linux
  // has closed it by then.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

void write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const auto n = retry([&] { return ::write(fd, content.data(), content.size()); });
    if (n < 0) fail(path, "write", errno, errno == ENOSPC ? "free some space and go on" : "");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A rename is on the disk only when its folder is.
void sync_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  Descriptor fd(retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() < 0) fail(folder, "open the folder", errno);
  // Some file systems cannot flush a folder; the rename itself has happened.
  if (retry([&] { return ::fsync(fd.get()); }) < 0 && errno != EINVAL && errno != ENOTSUP) {
    fail(folder, "flush the folder", errno);
  }
}

constexpr std::size_t kChunk = std::size_t{1} << 18;

bool begins_with(std::string_view bytes, std::string_view magic) {
  return bytes.substr(0, magic.size()) == magic;
}
constexpr std::string_view kGzip("\x1f\x8b", 2), kZstd("\x28\xb5\x2f\xfd", 4);

[[noreturn]] void damaged(const std::string& path, const char* format, std::size_t offset,
                          std::string_view why) {
  throw Error(ErrorKind::data, fmt::format("damaged {} stream at byte {}: {}", format, offset, why),
              path, "fetch or compress the file again");
}

// All members of a gzip file, one after the other (as `cat a.gz b.gz` leaves them).
std::string gunzip(std::string_view in, const std::string& path) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_streamp)> guard(&stream, inflateEnd);
  std::string out;
  std::size_t at = 0;  // bytes of `in` that are used up
  while (true) {
    const std::size_t give = std::min(in.size() - at, std::size_t{1} << 30);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data() + at));
    stream.avail_in = static_cast<uInt>(give);
    const std::size_t size = out.size();
    out.resize(size + std::max(kChunk, size / 2));
    const std::size_t room = std::min(out.size() - size, std::size_t{1} << 30);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + size);
    stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream, Z_NO_FLUSH);
    at += give - stream.avail_in;
    out.resize(size + room - stream.avail_out);
    if (code == Z_STREAM_END) {
      const auto rest = in.substr(at);
      if (rest.find_first_not_of('\0') == std::string_view::npos) return out;  // tape padding
      if (!begins_with(rest, kGzip)) damaged(path, "gzip", at, "not the begin of a member");
      inflateReset(&stream);
    } else if (code == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      damaged(path, "gzip", at, stream.msg != nullptr ? stream.msg : "unknown fault");
    } else if (at == in.size() && stream.avail_out > 0) {
      damaged(path, "gzip", at, "the file ends inside of it");
    }
  }
}

// All frames of a zstd file.
std::string unzstd(std::string_view in, const std::string& path) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  if (!context) throw std::bad_alloc();
  std::string out;
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  while (true) {
    const std::size_t size = out.size();
    out.resize(size + std::max(kChunk, size / 2));
    ZSTD_outBuffer output{out.data(), out.size(), size};
    const std::size_t code = ZSTD_decompressStream(context.get(), &output, &input);
    const bool full = output.pos == output.size;
    out.resize(output.pos);
    if (ZSTD_isError(code)) damaged(path, "zstd", input.pos, ZSTD_getErrorName(code));
    if (input.pos == input.size && !full) {
      if (code == 0) return out;
      damaged(path, "zstd", input.pos, "the file ends inside of it");
    }
    if (code == 0 && input.pos == input.size) return out;
  }
}

// Where `durable`, the content is on the disk before the name is.
void write_and_rename(const std::string& path, std::string_view content, bool durable) {
  static std::atomic<unsigned> count{0};
  const std::string temporary = fmt::format("{}.tmp.{}.{}", path, ::getpid(), count++);
  Descriptor fd(retry(
      [&] { return ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (fd.get() < 0) fail(path, "create", errno);
  try {
    write_all(fd.get(), content, path);
    if (durable && retry([&] { return ::fsync(fd.get()); }) < 0) fail(path, "flush", errno);
    if (fd.close() != 0 && errno != EINTR) fail(path, "close", errno);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "replace", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  if (durable) sync_folder(path);
}

}  // namespace

std::string read_file(const std::string& path) {
  Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (fd.get() < 0) fail(path, "open", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail(path, "read", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR, "name a file inside of the folder");
  std::string content;
  // One byte more than the size: the read that finds the end needs no growing. Pipes have size 0.
  std::size_t used = 0, room = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1;
  while (true) {
    content.resize(room);
    const auto n = retry([&] { return ::read(fd.get(), content.data() + used, room - used); });
    if (n < 0) fail(path, "read", errno);
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
    if (used == room) room += std::max(kChunk, room / 2);
  }
  content.resize(used);
  return content;
}

std::string read_unpacked(const std::string& path) {
  std::string content = read_file(path);
  if (begins_with(content, kGzip)) return gunzip(content, path);
  if (begins_with(content, kZstd)) return unzstd(content, path);
  return content;
}

void write_file_atomic(const std::string& path, std::string_view content) {
  write_and_rename(path, content, /*durable=*/true);
}

void replace_file(const std::string& path, std::string_view content) {
  write_and_rename(path, content, /*durable=*/false);
}

void append_line(const std::string& path, std::string_view line) {
  Descriptor fd(
      retry([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666); }));
  if (fd.get() < 0) fail(path, "open for appending", errno);
  // One write, so that lines of several writers do not mix.
  std::string whole;
  whole.reserve(line.size() + 1);
  whole.append(line).push_back('\n');
  write_all(fd.get(), whole, path);
  if (fd.close() != 0 && errno != EINTR) fail(path, "close", errno);
}

std::uint32_t crc32(std::string_view bytes, std::uint32_t before) {
  return static_cast<std::uint32_t>(
      ::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace descent
