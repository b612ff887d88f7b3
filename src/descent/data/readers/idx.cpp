#include "descent/data/idx.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "descent/base/file.h"
#include "descent/data/block.h"
#include "descent/data/registry.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

// The file of a folder that begins with `stem` ("train-images"), e.g. train-images-idx3-ubyte.gz.
std::optional<std::string> find_file(const std::string& folder, std::string_view stem) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(stem) && name.find("idx") != std::string::npos) {
      found.push_back(entry.path().string());
    }
  }
  if (found.empty()) return std::nullopt;
  return *std::ranges::min_element(found);  // the unpacked one where both are there
}

Table read_pair(const std::string& images, const std::optional<std::string>& labels,
                const std::string& where) {
  Table table = block_table(decode_idx(read_unpacked(images), images), where);
  if (!labels) return table;
  const Array array = decode_idx(read_unpacked(*labels), *labels);
  table.columns = columns_of(array, "label", *labels);
  if (array.shape()[0] != table.rows) {
    throw Error(ErrorKind::data,
                counted(array.shape()[0], "label") + " for " + counted(table.rows, "image"),
                *labels, "the two files do not belong together");
  }
  return table;
}

Tables read_folder(const std::string& folder) {
  const auto part = [&](const char* name) -> std::optional<Table> {
    const auto images = find_file(folder, std::string(name) + "-images");
    if (!images) return std::nullopt;
    return read_pair(*images, find_file(folder, std::string(name) + "-labels"), folder);
  };
  Tables tables;
  auto train = part("train");
  if (!train) throw Error(ErrorKind::data, "the folder has no train-images-idx3-ubyte", folder);
  tables.train = std::move(*train);
  tables.valid = part("valid");
  tables.test = part("t10k");
  if (!tables.test) tables.test = part("test");
  return tables;
}

// "dir/train-labels-idx1-ubyte.gz" for "dir/train-images-idx3-ubyte", packed or not.
std::optional<std::string> labels_beside(const std::string& path) {
  const auto name = base_name(path);
  const auto at = name.find("-images");
  if (at == std::string::npos) return std::nullopt;
  const auto folder = fs::path(path).parent_path().string();
  return find_file(folder.empty() ? "." : folder, name.substr(0, at) + "-labels");
}

int recognise(const Origin& origin) {
  if (origin.folder) return find_file(origin.path, "train-images") ? 90 : 0;
  const auto& b = origin.bytes;
  if (b.size() < 8 || b[0] != 0 || b[1] != 0) return 0;
  return b[2] >= 0x08 && b[2] <= 0x0E && b[3] >= 1 && b[3] <= 8 ? 90 : 0;
}

Tables read(const Origin& origin, const Options& options, std::uint64_t) {
  if (origin.folder) return read_folder(origin.path);
  Table table = block_table(decode_idx(origin.bytes, origin.path), origin.path);
  const auto labels = labels_beside(origin.path);
  // Labels beside the images are taken unless data.targets names others.
  if (!labels || options.has("targets")) return {.train = std::move(table)};
  return {.train = read_pair(origin.path, labels, origin.path)};
}

}  // namespace

void register_idx(ReaderRegistry& registry) {
  registry.add(
      {.name = "idx",
       .help = "MNIST's format: a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and "
               "t10k-... (the test part), or one such file with the labels beside it",
       .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
