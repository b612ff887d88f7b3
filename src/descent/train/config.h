// The configuration of a run: one schema from which parsing, defaults, --help, "did you mean" and
// docs/configuration.md all come. It knows no file format: the command line reads TOML into it.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "descent/base/options.h"

namespace descent::train {

// One [[optimizer.groups]] table: parameters with a learning rate or weight decay of their own.
struct GroupConfig {
  Options options;  // optim::group_options()
  std::string where;
};

// All values resolved: every key of the sections is present (or monostate where it has no default).
struct Config {
  std::int64_t seed = 1;
  Options data, model, loss, optimizer, schedule, train, checkpoint, health;
  std::vector<LayerConfig> layers;  // of model.name = "sequential"
  std::vector<GroupConfig> groups;  // of parameters, for the optimizer

  const Options& section(const std::string& name) const;
  Options& section(const std::string& name);
};

// A section of the schema. [model], [loss], [optimizer] and [schedule] have the key `name`, and the
// options of what it names.
struct Section {
  std::string name;
  std::string help;
  std::vector<Option> options;
  bool named = false;
};
// Sections in the order of the reference. For a named section `options` has only what all names
// share.
std::vector<Section> schema();
// The options of a section for a given name ("adam" in "optimizer"); the name is checked.
std::vector<Option> section_options(const std::string& section, const std::string& name,
                                    const std::string& where);

// Values as the user gave them, with where each was given ("config.toml:3:8", "--set", ...).
struct RawConfig {
  struct Table;
  struct Entry {
    OptionValue value;
    std::string where;
    std::vector<Table> layers = {};  // in place of a value: layers inside of a layer
  };
  std::map<std::string, std::map<std::string, Entry>> sections;  // "" holds top-level keys (seed)
  // One table of a list: [[model.layers]], [[optimizer.groups]].
  struct Table {
    std::map<std::string, Entry> values;
    std::string where;
  };
  std::vector<Table> layers, groups;
  // "optimizer.lr=0.1": parsed by the option's own type; an unknown key is a usage error with a
  // suggestion.
  void set(const std::string& assignment, const std::string& where);
};
// Checks and fills defaults. Unknown keys and sections, wrong types, missing data source: usage
// errors with place, key and a suggestion.
Config resolve(const RawConfig& raw);

nlohmann::json to_json(const Config& config);
Config config_from_json(const nlohmann::json& json);  // data error where it is not one
// The same before defaults are filled in: a saved configuration that is changed here and there.
RawConfig raw_config_from_json(const nlohmann::json& json);

// [train], [checkpoint] and what every [model] has to say of initial values.
std::vector<Option> train_options();
std::vector<Option> checkpoint_options();
std::vector<Option> initial_options();
// What every [optimizer] has to say of the state it begins with.
std::vector<Option> optimizer_state_options();

}  // namespace descent::train
