// descent inspect: the layers of a trained model, or the tensors of a safetensors file.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/io/safetensors.h"
#include "descent/train/job.h"
#include "descent/train/saved_model.h"

namespace descent::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using nlohmann::ordered_json;

struct Arguments {
  std::string model;
  bool json = false;
};

int inspect_model(const train::SavedModel& model, bool json) {
  const auto layers = nn::summarize(model.model, train::one_row(model.transform, model.config));
  std::int64_t total = 0;
  Rows rows = {{"name", "layer", "output", "parameters"}};
  ordered_json list = ordered_json::array();
  for (const auto& layer : layers) {
    total += layer.parameters;
    rows.push_back(
        {layer.name, layer.description, to_string(layer.output), grouped(layer.parameters)});
    list.push_back({{"name", layer.name},
                    {"layer", layer.description},
                    {"output", layer.output.dims()},
                    {"parameters", layer.parameters}});
  }
  rows.push_back({"total", "", "", grouped(total)});
  if (json) {
    const ordered_json out = {
        {"input", model.transform.sample_shape().dims()}, {"layers", list}, {"parameters", total}};
    fmt::print("{}\n", out.dump(2));
    return 0;
  }
  fmt::print("input {}\n", to_string(model.transform.sample_shape()));
  std::fputs(table(rows, {false, false, false, true}).c_str(), stdout);
  return 0;
}

int inspect_tensors(const std::string& path, bool json) {
  const auto file = io::load_safetensors(path);
  Rows rows = {{"tensor", "type", "shape", "elements"}};
  ordered_json list = ordered_json::array();
  std::int64_t total = 0;
  for (const auto& [name, array] : file.tensors) {
    total += array.size();
    const std::string type(name_of(array.dtype()));
    rows.push_back({name, type, to_string(array.shape()), grouped(array.size())});
    list.push_back({{"name", name}, {"type", type}, {"shape", array.shape().dims()}});
  }
  rows.push_back({"total", "", "", grouped(total)});
  if (json) {
    fmt::print("{}\n", ordered_json{{"tensors", list}, {"elements", total}}.dump(2));
  } else {
    std::fputs(table(rows, {false, false, false, true}).c_str(), stdout);
  }
  return 0;
}

int run(const Arguments& a) {
  const std::filesystem::path path(a.model);
  // A safetensors file without its model.json is still a list of tensors.
  const bool bare = path.extension() == ".safetensors" && std::filesystem::exists(path) &&
                    !std::filesystem::exists(path.parent_path() / "model.json");
  if (bare) return inspect_tensors(a.model, a.json);
  return inspect_model(train::SavedModel::load(a.model), a.json);
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("MODEL", a.model, "Run directory, model.json or model.safetensors")
      ->required();
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void register_inspect(Commands& commands) {
  commands.add<Arguments>("inspect", "Show a model's layers and parameters", describe, run);
}

}  // namespace descent::cli
