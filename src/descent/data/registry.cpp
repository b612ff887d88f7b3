#include "descent/data/registry.h"

#include <sys/stat.h>

#include <algorithm>

#include "descent/base/file.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

// Extension of "data/Train.CSV.gz": "csv".
std::string extension_of(const std::string& path) {
  std::string name = base_name(path);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.resize(name.size() - std::string_view(packed).size());
  }
  const auto dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? "" : name.substr(dot + 1);
}

std::string text_option(const Options& options, const char* key) {
  return options.has(key) ? options.text(key) : std::string();
}

// True where the options speak of a table, not of a text to model.
bool wants_columns(const Options& options) {
  const auto task = text_option(options, "task");
  const bool named = options.has("target") || options.has("targets") || options.has("text");
  return named || (!task.empty() && task != "auto");
}

}  // namespace

const ReaderRegistry& readers() {
  static const ReaderRegistry registry = [] {
    ReaderRegistry all("data source");
    register_all(all);
    return all;
  }();
  return registry;
}

Origin open_origin(const std::string& path) {
  Origin origin;
  origin.path = path;
  if (path.starts_with("synthetic:")) return origin;
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    origin.folder = true;
    return origin;
  }
  origin.extension = extension_of(path);
  origin.bytes = read_unpacked(path);
  return origin;
}

Tables read_tables(const std::string& path, const Options& options, std::uint64_t seed) {
  const std::string source = text_option(options, "source");
  if (source != "auto" && !source.empty()) {
    const auto& entry = readers().at(source, "data.source");
    return entry.make().read(open_origin(path), options, seed);
  }
  const bool language = text_option(options, "task") == "language";
  if (language) return readers().at("text").make().read(open_origin(path), options, seed);
  const Origin origin = open_origin(path);
  const ReaderRegistry::Entry* best = nullptr;
  int surest = 0;
  for (const auto& [name, entry] : readers().entries()) {
    if (name == "text" && wants_columns(options)) continue;
    const int sure = entry.make().recognise(origin);
    if (sure > surest) {
      surest = sure;
      best = &entry;
    }
  }
  if (best == nullptr) {
    std::string known;
    for (const auto& name : readers().names()) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::data,
                origin.folder ? "no reader knows this folder" : "no reader knows this content",
                path, "name the format with data.source, one of: " + known);
  }
  return best->make().read(origin, options, seed);
}

}  // namespace descent::data
