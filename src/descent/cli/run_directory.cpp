#include "descent/cli/run_directory.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <system_error>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/config_file.h"
#include "descent/train/version.h"

namespace descent::cli {
namespace {

namespace fs = std::filesystem;

// What a run leaves; a directory with any of these holds one.
constexpr const char* kResults[] = {"model.safetensors", "model.json",   "summary.json",
                                    "metrics.jsonl",     "health.jsonl", "report.html",
                                    "checkpoints"};

[[noreturn]] void cannot_create(const std::string& directory, const std::error_code& error) {
  throw Error(ErrorKind::usage, fmt::format("cannot create the directory: {}", error.message()),
              directory);
}

void create(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) cannot_create(directory.string(), error);
}

// An empty folder holds nothing.
bool holds(const std::string& directory, const char* file) {
  std::error_code error;
  const auto path = in(directory, file);
  if (!fs::is_directory(path, error)) return fs::exists(path, error);
  return !fs::is_empty(path, error);
}

class ConfigWriter final : public track::Sink {
 public:
  ConfigWriter(std::string directory, const train::Config& config)
      : directory_(std::move(directory)), config_(config) {}
  void begin(const track::RunInfo& info) override {
    (void)info;
    write_config(directory_, config_);
  }

 private:
  std::string directory_;
  const train::Config& config_;
};

}  // namespace

std::shared_ptr<track::Sink> config_writer(const std::string& directory,
                                           const train::Config& config) {
  return std::make_shared<ConfigWriter>(directory, config);
}

std::string in(const std::string& directory, const std::string& file) {
  return (fs::path(directory) / file).string();
}

std::string name_for(const std::string& path) {
  auto name = path.substr(path.find(':') == std::string::npos ? 0 : path.find(':') + 1);
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  fs::path file = fs::path(name).filename();
  for (const char* packed : {".gz", ".zst"}) {
    if (file.extension() == packed) file = file.stem();
  }
  std::string out;
  for (const char c : file.stem().string()) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                       c == '.' || (static_cast<unsigned char>(c) & 0x80) != 0;
    out += plain ? c : '_';
  }
  return out.empty() || out == "." || out == ".." ? "run" : out;
}

std::string new_run_directory(const std::string& name) {
  create("runs");
  for (int n = 1;; ++n) {
    const auto directory = fmt::format("runs/{}-{}", name, n);
    std::error_code error;
    // False where it exists: another run may take a number at this very moment.
    if (fs::create_directory(directory, error)) return directory;
    if (error && error != std::errc::file_exists) cannot_create(directory, error);
  }
}

void check_no_run(const std::string& directory) {
  for (const char* file : kResults) {
    if (!holds(directory, file)) continue;
    throw Error(ErrorKind::usage, fmt::format("there is a run already: it has {}", file), directory,
                fmt::format("go on with it by --resume {}, replace it by --overwrite, or choose "
                            "another --out",
                            directory));
  }
}

void claim_run_directory(const std::string& directory) {
  create(directory);
  for (const char* file : kResults) {
    std::error_code error;
    fs::remove_all(in(directory, file), error);
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("replay-") || !name.ends_with(".safetensors")) continue;
    std::error_code ignored;  // one that cannot be removed only takes space
    fs::remove(entry.path(), ignored);
  }
}

void write_config(const std::string& directory, const train::Config& config) {
  write_file_atomic(
      in(directory, "config.toml"),
      config_text(config, fmt::format("The whole configuration of this run, written by descent {}. "
                                      "Train the same again: descent train config.toml",
                                      train::kVersion)));
}

}  // namespace descent::cli
