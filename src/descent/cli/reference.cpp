#include "descent/cli/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "descent/base/options.h"
#include "descent/nn/registry.h"
#include "descent/optim/partition.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

constexpr const char* kIntroduction = R"(# Configuration

This file is written by `descent docs docs` from the option tables of the program. Do not edit it.

A configuration is a TOML file: `descent train job.toml`. Every key has a default but `data.path`.
`--set section.key=value` changes a key on the command line, `--set model.layers.0.units=64` one of
a layer; lists are written `a,b` or `[a, b]`, and an empty value takes a key back. What a run really
used, defaults and all, is in `config.toml` of its directory; `descent train --print-config` prints
it beforehand.

```toml
[data]
path = "titanic.csv"
target = "survived"

[[model.layers]]
type = "linear"
units = 64

[[model.layers]]
type = "relu"

[[model.layers]]
type = "linear"
units = 2

[optimizer]
name = "adamw"
lr = 1e-3

[train]
epochs = 20
```

Where a list is wanted, one value stands for a list of one: `kernel = 3`. An unknown key is an
error that names the nearest one.
)";

// A text inside of a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string default_text(const Option& option) {
  if (option.required) return "required";
  if (std::holds_alternative<std::monostate>(option.fallback)) return "";
  return fmt::format("`{}`", cell(to_string(option.fallback)));
}

// "number, 0 to 1".
std::string type_text(const Option& option) {
  const std::string type(name_of(option.type));
  if (option.min && option.max) return fmt::format("{}, {} to {}", type, *option.min, *option.max);
  if (option.min) return fmt::format("{}, at least {}", type, *option.min);
  if (option.max) return fmt::format("{}, at most {}", type, *option.max);
  return type;
}

std::string sentence(std::string text) {
  if (!text.empty() && text.back() != '.') text += '.';
  return text;
}

std::string meaning(const Option& option) {
  const auto help = cell(sentence(option.help));
  if (option.choices.empty()) return help;
  return fmt::format("{} One of `{}`.", help, fmt::join(option.choices, "`, `"));
}

std::string table(const std::vector<Option>& options) {
  if (options.empty()) return "";
  std::string out = "\n| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const auto& option : options) {
    out += fmt::format("| `{}` | {} | {} | {} |\n", option.key, type_text(option),
                       default_text(option), meaning(option));
  }
  return out;
}

// Options that are not shared by all, or have another default.
std::vector<Option> own_options(const train::Section& section, const train::NamedEntry& entry) {
  std::vector<Option> own;
  for (const auto& option : entry.options) {
    const auto* shared = train::find_option(section.options, option.key);
    const bool same =
        shared != nullptr && shared->fallback == option.fallback && shared->help == option.help;
    if (!same) own.push_back(option);
  }
  return own;
}

std::string named_text(const train::Section& section) {
  std::string out;
  for (const auto& entry : train::named_section(section.name)->entries) {
    out += fmt::format("\n### {}.name = \"{}\"\n\n{}\n", section.name, entry.name,
                       cell(sentence(entry.help)));
    out += table(own_options(section, entry));
  }
  return out;
}

std::string layers_text() {
  std::string out =
      "\n## [[model.layers]]\n\n"
      "One table a layer, in order, where `model.name = \"sequential\"` (the default where there "
      "are layers). Sizes of inputs are found from the data. Layers count from 0, as in the names "
      "of their parameters (`0.weight`). Where a layer holds layers itself, they are a list, "
      "`layers = [{type = \"relu\"}]`, or tables below it, `[[model.layers.layers]]`; on the "
      "command "
      "line `--set model.layers.2.layers.0.units=64`.\n"
      "\n| key | type | default | meaning |\n|---|---|---|---|\n";
  out += fmt::format("| `type` | text | required | which layer. One of `{}` |\n",
                     fmt::join(nn::layers().names(), "`, `"));
  for (const auto& [name, layer] : nn::layers().entries()) {
    out += fmt::format("\n### type = \"{}\"\n\n{}\n", name, cell(sentence(layer.help)));
    out += table(layer.options);
  }
  return out;
}

std::string groups_text() {
  return "\n## [[optimizer.groups]]\n\n"
         "One table a group of parameters with a learning rate or weight decay of its own; all "
         "other parameters follow [optimizer]. `--set optimizer.groups.0.lr=0.01` changes one.\n" +
         table(optim::group_options());
}

}  // namespace

std::string configuration_reference() {
  std::string out = kIntroduction;
  for (const auto& section : train::schema()) {
    out += section.name.empty() ? "\n## Top level\n" : fmt::format("\n## [{}]\n", section.name);
    out += "\n" + section.help + "\n" + table(section.options);
    if (section.named) out += named_text(section);
    if (section.name == "model") out += layers_text();
    if (section.name == "optimizer") out += groups_text();
  }
  return out;
}

}  // namespace descent::cli
