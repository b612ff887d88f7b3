// descent evaluate: the loss and metrics of a trained model.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "descent/cli/model_input.h"
#include "descent/cli/registry.h"
#include "descent/cli/text.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string run, data, split;
  int threads = 0;
  bool json = false;
};

int run(const Arguments& a) {
  const auto model = train::SavedModel::load(a.run);
  const auto input = a.data.empty() ? rows_of_run(model, a.split)
                                    : rows_of_file(model, a.data, /*need_target=*/true,
                                                   /*strict=*/false);
  const auto metrics = train::evaluate(model, input.rows, a.threads);
  if (a.json) {
    nlohmann::ordered_json out;
    for (const auto& [name, value] : metrics) out[name] = value;
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print(stderr, "{}\n", input.description);
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : metrics) rows.push_back({name, fmt::format("{:.6g}", value)});
  std::fputs(table(rows, {false, false}).c_str(), stdout);
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("RUN_DIR", a.run, "Run directory, or its model.json")->required();
  auto* data = command.add_option("--data", a.data, "File to evaluate on [the run's test rows]")
                   ->type_name("FILE");
  command.add_option("--split", a.split, "Part of the run's data: train, valid or test")
      ->check(CLI::IsMember({"train", "valid", "test"}))
      ->type_name("PART")
      ->excludes(data);
  add_threads(command, a.threads, "Threads [all processors]");
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void register_evaluate(Commands& commands) {
  commands.add<Arguments>("evaluate", "Measure a trained model", describe, run);
}

}  // namespace descent::cli
