// descent doctor: what this machine and this build have.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/highway.h>
#include <toml++/toml.h>
#include <zlib.h>
#include <zstd.h>

#include <Eigen/Core>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <oneapi/dnnl/dnnl.hpp>

#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/data/registry.h"
#include "descent/train/machine.h"
#include "descent/train/version.h"

namespace descent::cli {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

struct Arguments {
  bool json = false;
};

std::string three(int major, int minor, int patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

Facts libraries() {
  const auto* dnnl = dnnl_version();
  return {{"oneDNN", three(dnnl->major, dnnl->minor, dnnl->patch)},
          {"Highway", three(HWY_MAJOR, HWY_MINOR, HWY_PATCH)},
          {"Eigen", three(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"fmt", three(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"nlohmann json", three(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                  NLOHMANN_JSON_VERSION_PATCH)},
          {"toml++", three(TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)},
          {"CLI11", CLI11_VERSION},
          {"zlib", zlibVersion()},
          {"zstd", ZSTD_versionString()},
          {"compiler", __VERSION__}};
}

// Parts that a build may have or lack.
Facts parts() {
  return {{"readers", fmt::format("{}", fmt::join(data::readers().names(), ", "))},
          {"packed files", "gzip, zstd"},
          {"message passing (MPI)", "not in this build"},
          {"object stores (http, s3)", "not in this build"}};
}

int run(const Arguments& a) {
  const std::pair<const char*, Facts> all[] = {
      {"machine", train::machine()}, {"libraries", libraries()}, {"parts", parts()}};
  if (a.json) {
    nlohmann::ordered_json out = {{"version", train::kVersion}};
    for (const auto& [title, facts] : all) {
      for (const auto& [name, text] : facts) out[title][name] = text;
    }
    fmt::print("{}\n", out.dump(2));
    return 0;
  }
  std::vector<std::vector<std::string>> rows = {{"descent", train::kVersion}};
  for (const auto& [title, facts] : all) {
    rows.emplace_back();
    for (const auto& [name, text] : facts) rows.push_back({name, text});
  }
  std::fputs(table(rows, {false, false}).c_str(), stdout);
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void register_doctor(Commands& commands) {
  commands.add<Arguments>("doctor", "Show what this machine and this build have", describe, run);
}

}  // namespace descent::cli
