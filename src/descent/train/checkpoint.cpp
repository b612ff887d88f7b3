#include "descent/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::train {
namespace fs = std::filesystem;
namespace {

fs::path folder(const std::string& run_directory) {
  return fs::path(run_directory) / "checkpoints";
}

std::string tokenizer_path(const std::string& run_directory) {
  return (folder(run_directory) / "tokenizer.json").string();
}

// Newest first; the zero-padded step makes names sort by number.
std::vector<fs::path> numbered(const std::string& run_directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder(run_directory), error)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".safetensors")) found.push_back(entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

}  // namespace

bool has_checkpoint(const std::string& run_directory) { return !numbered(run_directory).empty(); }

void save_checkpoint(const std::string& run_directory, const TrainState& state, std::int64_t keep) {
  fs::create_directories(folder(run_directory));
  write_file_atomic(
      (folder(run_directory) / fmt::format("step-{:012}.safetensors", state.step)).string(),
      encode(state));
  const auto all = numbered(run_directory);
  for (std::size_t i = static_cast<std::size_t>(keep); i < all.size(); ++i) {
    std::error_code ignored;  // one that cannot be removed only takes space
    fs::remove(all[i], ignored);
  }
}

void save_best(const std::string& run_directory, const TrainState& state) {
  fs::create_directories(folder(run_directory));
  write_file_atomic((folder(run_directory) / "best.safetensors").string(), encode(state));
}

void save_tokenizer(const std::string& run_directory, const data::Tokenizer& tokenizer) {
  fs::create_directories(folder(run_directory));
  write_file_atomic(tokenizer_path(run_directory),
                    data::tokenizer_to_json(tokenizer).dump() + "\n");
}

void check_tokenizer(const std::string& run_directory, const data::Tokenizer& tokenizer) {
  const std::string path = tokenizer_path(run_directory);
  if (!fs::exists(path)) return;  // of a version that kept none
  data::TokenizerPtr kept;
  try {
    kept = data::tokenizer_from_json(nlohmann::json::parse(read_file(path)));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::data, fmt::format("no tokenizer ({})", e.what()), path);
  }
  const auto differs = difference(*kept, "the checkpoint", tokenizer, "the data");
  if (differs.empty()) return;
  throw Error(ErrorKind::data,
              fmt::format("the tokenizer of the checkpoint is not that of the data: {}", differs),
              path,
              "resume with the text and the options of the tokenizer that the run began with, or "
              "begin anew: with --overwrite, or another --out");
}

std::optional<TrainState> load_newest(const std::string& run_directory, const TrainState& like,
                                      track::Sink& sink) {
  const auto all = numbered(run_directory);
  for (const auto& path : all) {
    try {
      return decode(read_file(path.string()), like, path.string());
    } catch (const Error& e) {
      sink.message(
          track::Level::warning, "checkpoint",
          fmt::format("{} is not usable, trying the one before: {}", path.string(), e.message()));
    }
  }
  if (all.empty()) return std::nullopt;
  // To begin anew here would write over what was trained.
  throw Error(ErrorKind::data, "none of the checkpoints can be used",
              folder(run_directory).string(),
              "resume with the configuration they were made with, or begin anew: with --overwrite, "
              "or another --out");
}

}  // namespace descent::train
