// Configurations as TOML text.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "descent/base/options.h"
#include "descent/cli/config_file.h"
#include "descent/cli/text.h"
#include "descent/nn/registry.h"
#include "descent/optim/partition.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

std::string comment(const std::string& text, const std::string& prefix = "# ") {
  std::string out;
  for (const auto& line : wrapped(text, 100 - prefix.size())) out += prefix + line + "\n";
  return out;
}

// "meaning (one of: a, b)".
std::string meaning(const Option& option) {
  if (option.choices.empty()) return option.help;
  auto help = option.help;
  if (!help.empty() && help.back() == '.') help.pop_back();
  return fmt::format("{} (one of: {})", help, fmt::join(option.choices, ", "));
}

// `key = value`, under its meaning; commented out where there is no value.
std::string entry(const Option& option, const Options& values) {
  std::string out = comment(meaning(option));
  const auto* value = values.find(option.key);
  if (value == nullptr || !values.has(option.key)) return out + "# " + option.key + " = \n";
  out += fmt::format("{} = {}", option.key, to_string(*value));
  const bool same = *value == option.fallback;
  if (!same && !std::holds_alternative<std::monostate>(option.fallback)) {
    out += fmt::format("  # default: {}", to_string(option.fallback));
  }
  return out + "\n";
}

// [{type = "relu"}, ...] with each layer on a line of its own.
std::string one_a_line(const std::vector<LayerConfig>& layers) {
  if (layers.empty()) return "[]";
  std::string out = "[\n";
  for (const auto& layer : layers) {
    const auto list = to_string(std::vector{layer});
    out += "  " + list.substr(1, list.size() - 2) + ",\n";
  }
  return out + "]";
}

std::string layers_text(const train::Config& config) {
  std::string out;
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const auto& layer = config.layers[i];
    out += fmt::format("\n[[model.layers]]  # {}\ntype = {}\n", i, to_string(layer.type));
    for (const auto& option : nn::layers().at(layer.type).options) {
      if (!layer.options.has(option.key)) continue;
      const auto& value = *layer.options.find(option.key);
      const auto* inside = std::get_if<std::vector<LayerConfig>>(&value);
      const auto text = inside == nullptr ? to_string(value) : one_a_line(*inside);
      out += fmt::format("{} = {}\n", option.key, text);
    }
  }
  return out;
}

std::string groups_text(const train::Config& config) {
  std::string out;
  for (const auto& group : config.groups) {
    out += "\n[[optimizer.groups]]\n";
    for (const auto& option : optim::group_options()) {
      if (!group.options.has(option.key)) continue;
      out += fmt::format("{} = {}\n", option.key, to_string(*group.options.find(option.key)));
    }
  }
  return out;
}

// The options of a section of this configuration.
std::vector<Option> options_of(const train::Config& config, const std::string& section) {
  const auto& values = config.section(section);
  const bool named = train::named_section(section) != nullptr;
  return train::section_options(section, named ? values.text("name") : "", "");
}

std::string section_text(const train::Config& config, const std::string& section) {
  std::string out = fmt::format("\n[{}]\n", section);
  for (const auto& option : options_of(config, section)) {
    out += entry(option, config.section(section));
  }
  return out;
}

// The keys of the other things that a section can name, as comments.
std::string other_names(const train::NamedSection& section, const std::string& chosen) {
  std::string out;
  const auto* own = section.find(chosen);
  for (const auto& other : section.entries) {
    if (other.name == chosen) continue;
    out += comment(fmt::format("name = \"{}\": {}", other.name, other.help));
    for (const auto& option : other.options) {
      const auto* known = train::find_option(own->options, option.key);
      if (known != nullptr && known->fallback == option.fallback) continue;
      out += comment(
          fmt::format("{} = {}: {}", option.key, to_string(option.fallback), meaning(option)),
          "#   ");
    }
  }
  return out;
}

}  // namespace

std::string config_text(const train::Config& config, const std::string& title) {
  std::string out = comment(title);
  const auto sections = train::schema();
  out += "\n" + comment(meaning(sections.front().options.front()));
  out += fmt::format("seed = {}\n", config.seed);
  for (const auto& name : train::section_names()) {
    out += section_text(config, name);
    if (name == "model") out += layers_text(config);
    if (name == "optimizer") out += groups_text(config);
  }
  return out;
}

std::string default_config_text() {
  const auto config = train::resolve_without_data({});
  std::string out = comment("Every key of a configuration with its default and meaning.");
  for (const auto& section : train::schema()) {
    if (section.name.empty()) {
      const auto& seed = section.options.front();
      out += "\n" + comment(meaning(seed)) + fmt::format("seed = {}\n", to_string(seed.fallback));
      continue;
    }
    out += section_text(config, section.name);
    if (const auto* named = train::named_section(section.name)) {
      out += other_names(*named, named->fallback);
    }
  }
  out += "\n" + comment("Parameters with a rate or decay of their own, one table each:");
  out += comment("[[optimizer.groups]]");
  for (const auto& option : optim::group_options())
    out += comment(fmt::format("{} = : {}", option.key, meaning(option)), "#   ");
  out += "\n" + comment("Layers, one table each, where model.name = \"sequential\":");
  for (const auto& [name, layer] : nn::layers().entries()) {
    out += comment(fmt::format("[[model.layers]] type = \"{}\": {}", name, layer.help));
    for (const auto& option : layer.options) {
      out += comment(
          fmt::format("{} = {}: {}", option.key, to_string(option.fallback), meaning(option)),
          "#   ");
    }
  }
  return out;
}

}  // namespace descent::cli
