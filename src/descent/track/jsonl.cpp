#include "descent/track/jsonl.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::track {
namespace {

using nlohmann::ordered_json;

// The whole lines of measurements up to `step`.
std::string lines_until(const std::string& text, std::int64_t step) {
  std::string kept;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) break;  // cut off while it was written
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("step") || !object["step"].is_number()) continue;
    if (object["step"].get<double>() > static_cast<double>(step)) continue;
    kept.append(line).push_back('\n');
  }
  return kept;
}

[[noreturn]] void fail(const std::string& path, const char* doing) {
  throw Error(ErrorKind::data, fmt::format("cannot {}: {}", doing, std::strerror(errno)), path);
}

}  // namespace

std::string to_line(const Record& record) {
  ordered_json line = {{"step", record.step}, {"epoch", record.epoch}, {"split", record.split}};
  for (const auto& [name, value] : record.values) line[name] = value;
  line["seconds"] = record.seconds;
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

JsonLines::JsonLines(std::string path) : path_(std::move(path)) {}

void JsonLines::begin(std::int64_t first_step) {
  const bool resumed = first_step > 0 && std::filesystem::exists(path_);
  reopen(resumed ? lines_until(read_file(path_), first_step) : "");
}

void JsonLines::rewind(std::int64_t step) {
  if (file_) reopen(lines_until(read_file(path_), step));
}

void JsonLines::reopen(const std::string& content) {
  file_.reset();
  write_file_atomic(path_, content);
  file_.reset(std::fopen(path_.c_str(), "ae"));
  if (!file_) fail(path_, "open");
}

void JsonLines::write(const std::string& line) {
  if (!file_) return;
  const auto whole = line + "\n";
  if (std::fwrite(whole.data(), 1, whole.size(), file_.get()) != whole.size() ||
      std::fflush(file_.get()) != 0) {
    fail(path_, "write");
  }
}

void JsonlSink::record(const Record& record) { lines_.write(to_line(record)); }

}  // namespace descent::track
