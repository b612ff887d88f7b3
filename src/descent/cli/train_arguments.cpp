#include "descent/cli/train_arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "descent/base/error.h"
#include "descent/cli/config_file.h"
#include "descent/cli/registry.h"
#include "descent/cli/run_directory.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

using train::RawConfig;

// What `above` gives replaces what `below` has. A section that names something else (another
// optimizer) replaces the whole section.
RawConfig overlaid(RawConfig below, const RawConfig& above) {
  for (const auto& [section, entries] : above.sections) {
    auto& to = below.sections[section];
    const auto name = entries.find("name");
    if (train::named_section(section) != nullptr && name != entries.end() &&
        (!to.contains("name") || to["name"].value != name->second.value)) {
      to.clear();
    }
    for (const auto& [key, entry] : entries) to[key] = entry;
  }
  if (!above.layers.empty()) below.layers = above.layers;
  if (!above.groups.empty()) below.groups = above.groups;
  return below;
}

// `optional`: the run may have been killed before it began; another configuration is at hand.
RawConfig config_of_run(const std::string& directory, bool optional) {
  const auto path = in(directory, "config.toml");
  if (!std::filesystem::exists(path)) {
    if (optional) return {};
    throw Error(ErrorKind::usage, "there is no run here: config.toml is missing", directory,
                "name the directory of a run, e.g. --resume runs/titanic-1");
  }
  return read_config_file(path);
}

void apply_shortcuts(const TrainArguments& a, RawConfig& raw) {
  const auto set = [&](const char* option, const char* key, const std::string& value) {
    if (!value.empty()) raw.set(fmt::format("{}={}", key, value), option);
  };
  set("--data", "data.path", a.data);
  set("--target", "data.target", a.target);
  set("--model", "model.name", a.model);
  set("--optimizer", "optimizer.name", a.optimizer);
  set("--convention", "optimizer.convention", a.convention);
  set("--lr", "optimizer.lr", a.lr);
  set("--epochs", "train.epochs", a.epochs);
  set("--batch-size", "train.batch_size", a.batch_size);
  set("--seed", "seed", a.seed);
  // Not through set(): a column's name may hold commas.
  if (!a.drop.empty()) raw.sections["data"]["drop"] = {a.drop, "--drop"};
}

}  // namespace

void add_configuration(CLI::App& command, TrainArguments& a) {
  command.add_option("CONFIG", a.config, "TOML file; without one, name the data with --data");
  command.add_option("--data", a.data, "File or folder to train on, or synthetic:spirals")
      ->type_name("FILE");
  command.add_option("--target", a.target, "Column to predict")->type_name("COLUMN");
  add_repeated(command, "--drop", a.drop, "Column to leave out; may be repeated")
      ->type_name("COLUMN");
  command.add_option("--model", a.model, "mlp, linear, cnn, ... (model.name)")->type_name("NAME");
  command.add_option("--optimizer", a.optimizer, "adam, sgd, ... (optimizer.name)")
      ->type_name("NAME");
  command
      .add_option("--convention", a.convention,
                  "Whose arithmetic, where PyTorch, Keras and the papers differ: torch, keras or "
                  "paper (optimizer.convention)")
      ->type_name("NAME");
  command.add_option("--lr", a.lr, "Learning rate (optimizer.lr)")->type_name("X");
  command.add_option("--epochs", a.epochs, "Passes over the data (train.epochs)")->type_name("N");
  command.add_option("--batch-size", a.batch_size, "Rows a step (train.batch_size)")
      ->type_name("N");
  command.add_option("--seed", a.seed, "Where random numbers come from (seed)")->type_name("N");
  add_repeated(command, "--set", a.set, "Any key of the configuration; may be repeated")
      ->type_name("KEY=VALUE");
}

RawConfig gather_config(const TrainArguments& arguments) {
  RawConfig raw;
  if (!arguments.resume.empty()) {
    raw = config_of_run(arguments.resume, !arguments.config.empty() || !arguments.data.empty());
  }
  if (!arguments.config.empty()) raw = overlaid(raw, read_config_file(arguments.config));
  apply_shortcuts(arguments, raw);
  for (const auto& assignment : arguments.set) {
    raw.set(assignment, fmt::format("--set {}", assignment));
  }
  return raw;
}

}  // namespace descent::cli
