#include "descent/data/cifar.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/data/block.h"
#include "descent/data/registry.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

// The files "PREFIX*.bin" of a folder, perhaps packed, by name; the unpacked one of two.
std::vector<std::string> find_files(const std::string& folder, std::string_view prefix) {
  std::map<std::string, std::string> found;  // by name without .gz and .zst
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto file = entry.path().filename();
    const bool packed = file.extension() == ".gz" || file.extension() == ".zst";
    const auto name = (packed ? file.stem() : file).string();
    if (!name.starts_with(prefix) || !name.ends_with(".bin")) continue;
    const auto [at, fresh] = found.try_emplace(name, entry.path().string());
    if (!fresh && !packed) at->second = entry.path().string();
  }
  std::vector<std::string> paths;
  for (auto& [name, path] : found) paths.push_back(std::move(path));
  return paths;
}

// Parts of a folder: CIFAR-10 has data_batch_1.bin ... and test_batch.bin, CIFAR-100 train.bin and
// test.bin.
std::vector<std::string> train_files(const std::string& folder) {
  auto files = find_files(folder, "data_batch");
  return files.empty() ? find_files(folder, "train.") : files;
}
std::vector<std::string> test_files(const std::string& folder) {
  auto files = find_files(folder, "test_batch");
  return files.empty() ? find_files(folder, "test.") : files;
}

Table to_table(CifarImages decoded, const std::string& where, const Options& options) {
  const bool coarse = options.has("cifar_labels") && options.text("cifar_labels") == "coarse";
  Column label{.name = "label", .labels = true};
  label.numbers = std::move(decoded.fine.empty() || coarse ? decoded.labels : decoded.fine);
  Table table = block_table(std::move(decoded.images), where);
  table.columns.push_back(std::move(label));
  return table;
}

Table read_files(const std::vector<std::string>& paths, const std::string& where,
                 const Options& options) {
  std::vector<std::string> contents;
  std::vector<CifarFile> files;
  contents.reserve(paths.size());
  for (const auto& path : paths) {
    contents.push_back(read_unpacked(path));
    files.push_back({contents.back(), path});
  }
  return to_table(decode_cifar(files), where, options);
}

int recognise(const Origin& origin) {
  if (!origin.folder) return is_cifar(origin.bytes) ? (origin.extension == "bin" ? 85 : 60) : 0;
  const bool cifar100 = fs::exists(origin.path + "/fine_label_names.txt");
  return !find_files(origin.path, "data_batch").empty() ||
                 (cifar100 && !find_files(origin.path, "train.").empty())
             ? 90
             : 0;
}

Tables read(const Origin& origin, const Options& options, std::uint64_t) {
  if (!origin.folder) {
    return {.train = to_table(decode_cifar({{origin.bytes, origin.path}}), origin.path, options)};
  }
  const auto train = train_files(origin.path), test = test_files(origin.path);
  if (train.empty()) {
    throw Error(ErrorKind::data, "the folder has no data_batch_1.bin (CIFAR-10) and no train.bin",
                origin.path);
  }
  Tables tables{.train = read_files(train, origin.path, options)};
  if (!test.empty()) tables.test = read_files(test, origin.path, options);
  return tables;
}

}  // namespace

void register_cifar(ReaderRegistry& registry) {
  registry.add(
      {.name = "cifar",
       .help = "CIFAR-10 and CIFAR-100, binary version: a folder with data_batch_1.bin ... (or "
               "train.bin) and test_batch.bin (or test.bin: the test part), or one such file",
       .options = {{.key = "cifar_labels",
                    .fallback = "fine",
                    .help = "CIFAR-100: its 100 fine or its 20 coarse labels",
                    .choices = {"fine", "coarse"}}},
       .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
