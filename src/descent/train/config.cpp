#include "descent/train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "descent/nn/registry.h"
#include "descent/optim/partition.h"
#include "descent/train/config_schema.h"

namespace descent::train {
namespace {

using Entries = std::map<std::string, RawConfig::Entry>;
using Texts = std::vector<std::string>;

[[noreturn]] void fail(const std::string& what, const std::string& where,
                       const std::string& remedy = {}) {
  throw Error(ErrorKind::usage, what, where, remedy);
}

// A list of one where a list is wanted; decimal text where text is wanted (train.batch_size = 128,
// data.target = 3). Everything else as it is.
OptionValue adapted(OptionType type, const OptionValue& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* number = std::get_if<double>(&value);
  const auto* text = std::get_if<std::string>(&value);
  const auto* integers = std::get_if<std::vector<std::int64_t>>(&value);
  if (type == OptionType::text && integer != nullptr) return std::to_string(*integer);
  if (type == OptionType::integers && integer != nullptr) return std::vector{*integer};
  if (type == OptionType::numbers && integer != nullptr) {
    return std::vector{static_cast<double>(*integer)};
  }
  if (type == OptionType::numbers && number != nullptr) return std::vector{*number};
  if (type == OptionType::texts && text != nullptr) return Texts{*text};
  if (type == OptionType::texts && integer != nullptr) return Texts{std::to_string(*integer)};
  if (type == OptionType::texts && integers != nullptr) {
    Texts texts;
    for (const auto x : *integers) texts.push_back(std::to_string(x));
    return texts;
  }
  return value;
}

bool unset(const OptionValue& value) { return std::holds_alternative<std::monostate>(value); }

// ---- resolving ----

// The value that a section gives `name`, or its default; where it was given.
std::pair<std::string, std::string> name_in(const RawConfig& raw, const std::string& section) {
  const auto* named = named_section(section);
  if (named == nullptr) return {};
  const auto entries = raw.sections.find(section);
  if (entries != raw.sections.end()) {
    if (const auto name = entries->second.find("name"); name != entries->second.end()) {
      const auto& given = name->second;
      if (const auto* text = std::get_if<std::string>(&given.value)) return {*text, given.where};
      if (!unset(given.value)) {
        fail(fmt::format("option \"{}.name\" must be a text, not {}", section,
                         to_string(given.value)),
             given.where);
      }
    }
  }
  if (section == "model" && !raw.layers.empty()) return {"sequential", raw.layers.front().where};
  return {named->fallback, ""};
}

// Checks what was given against the options and fills the rest. `unknown` makes the error for a
// key that is none; `prefix` is "optimizer" or "model.layers.2".
template <class Unknown>
Options filled(const std::vector<Option>& options, const Entries& given, const std::string& prefix,
               const std::string& where, const Unknown& unknown) {
  Options out;
  for (const auto& [key, entry] : given) {
    const auto* option = find_option(options, key);
    if (option == nullptr) throw unknown(key, entry.where);
    if (unset(entry.value)) continue;
    out.set(key,
            check(qualified(prefix, *option), adapted(option->type, entry.value), entry.where));
  }
  for (const auto& option : options) {
    if (out.has(option.key)) continue;
    if (option.required) {
      fail(fmt::format("option \"{}\" is required", qualified(prefix, option).key), where,
           option.help);
    }
    if (!unset(option.fallback)) out.set(option.key, check(option, option.fallback, where));
  }
  return out;
}

Options filled_section(const RawConfig& raw, const std::string& section) {
  const auto name = name_in(raw, section).first;
  const auto options = section_options(section, name, name_in(raw, section).second);
  const auto it = raw.sections.find(section);
  Options out = filled(options, it == raw.sections.end() ? Entries{} : it->second, section,
                       "[" + section + "]", [&](const std::string& key, const std::string& place) {
                         return unknown_key(section, name, key, place);
                       });
  if (!name.empty()) out.set("name", name);
  return out;
}

// The type of a layer; an error where there is none.
std::string type_of(const RawConfig::Table& layer, const std::string& prefix) {
  const auto type = layer.values.find("type");
  if (type == layer.values.end()) {
    fail(fmt::format("option \"{}.type\" is required", prefix), layer.where,
         fmt::format("which layer: {}", did_you_mean("", nn::layers().names())));
  }
  const auto* text = std::get_if<std::string>(&type->second.value);
  if (text != nullptr) return *text;
  fail(fmt::format("option \"{}.type\" must be a text, not {}", prefix,
                   to_string(type->second.value)),
       type->second.where);
}

std::vector<LayerConfig> filled_layers(const std::vector<RawConfig::Table>& layers,
                                       const std::string& prefix);

// `prefix` is "model.layers.2", or "model.layers.2.layers.0" of a layer inside.
LayerConfig filled_layer(const RawConfig::Table& layer, const std::string& prefix) {
  const auto type = type_of(layer, prefix);
  const auto& entry = nn::layers().at(type, layer.values.at("type").where);
  Entries values = layer.values;
  values.erase("type");
  for (auto& [key, given] : values) {
    const auto* option = find_option(entry.options, key);
    if (given.layers.empty() || option == nullptr) continue;
    const auto full = qualified(prefix, *option);
    if (option->type != OptionType::layers) {
      fail(fmt::format("option \"{}\" takes no layers", full.key), given.where, option->help);
    }
    given.value = filled_layers(given.layers, full.key);
  }
  Options options =
      filled(entry.options, values, prefix, layer.where,
             [&](const std::string& key, const std::string& where) {
               Texts keys;
               for (const auto& option : entry.options) keys.push_back(option.key);
               return Error(
                   ErrorKind::usage,
                   fmt::format("unknown key \"{}.{}\" of layer \"{}\"", prefix, key, type), where,
                   keys.empty() ? fmt::format("{} has no options", type) : did_you_mean(key, keys));
             });
  return {type, std::move(options), layer.where};
}

std::vector<LayerConfig> filled_layers(const std::vector<RawConfig::Table>& layers,
                                       const std::string& prefix) {
  std::vector<LayerConfig> out;
  for (const auto& layer : layers) {
    out.push_back(filled_layer(layer, fmt::format("{}.{}", prefix, out.size())));
  }
  return out;
}

GroupConfig filled_group(const RawConfig::Table& group, std::size_t index) {
  const auto prefix = fmt::format("optimizer.groups.{}", index);
  const auto all = optim::group_options();
  auto options =
      filled(all, group.values, prefix, group.where,
             [&](const std::string& key, const std::string& where) {
               Texts keys;
               for (const auto& option : all) keys.push_back(option.key);
               return Error(ErrorKind::usage, fmt::format("unknown key \"{}.{}\"", prefix, key),
                            where, did_you_mean(key, keys));
             });
  return {std::move(options), group.where};
}

void check_model(const RawConfig& raw, const Config& config) {
  const bool sequential = config.model.text("name") == "sequential";
  if (sequential == !raw.layers.empty()) return;
  const auto where = name_in(raw, "model").second;
  if (sequential) {
    fail("a sequential model needs layers", where,
         "add [[model.layers]] tables, each with a type, or choose another model.name");
  }
  fail(fmt::format("model \"{}\" takes no [[model.layers]]", config.model.text("name")), where,
       "write model.name = \"sequential\", or leave the layers out");
}

// ---- --set ----

bool is_utf8(const std::string& text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i++]);
    const int more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;
    if (more < 0) return false;
    for (int k = 0; k < more; ++k, ++i) {
      if (i >= text.size() || static_cast<unsigned char>(text[i]) >> 6 != 2) return false;
    }
  }
  return true;
}

// The option of a key: that of what the section names at this moment, or of anything it could
// name (a later assignment may choose it).
const Option* option_for(const RawConfig& raw, const std::string& section, const std::string& key,
                         std::vector<Option>& store) {
  const auto* named = named_section(section);
  if (named == nullptr) {
    store = section_options(section, "", "");
    return find_option(store, key);
  }
  const auto [name, where] = name_in(raw, section);
  if (key == "name" || named->find(name) != nullptr) {
    store = section_options(section, key == "name" ? named->fallback : name, where);
    if (const auto* option = find_option(store, key)) return option;
  }
  for (const auto& entry : named->entries) {
    if (const auto* option = find_option(entry.options, key)) return option;
  }
  return nullptr;
}

// Empty text takes back the value of an option that may be without one.
OptionValue read_value(const std::string& prefix, const Option& option, const std::string& text,
                       const std::string& where) {
  if (text.empty() && unset(option.fallback) && !option.required) return {};
  return parse_value(qualified(prefix, option), text, where);
}

// "2.units" of `list` "model.layers": the table's index, and the key.
std::pair<std::size_t, std::string> table_key(const std::vector<RawConfig::Table>& tables,
                                              const std::string& list, const std::string& thing,
                                              const std::string& path, const std::string& where) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), index);
  const auto used = static_cast<std::size_t>(end - path.data());
  if (error != std::errc() || used + 1 >= path.size() || path[used] != '.') {
    fail(fmt::format("\"{}.{}\" is no key of a {}", list, path, thing), where,
         fmt::format("write {}.INDEX.KEY=value; the first {} has index 0", list, thing));
  }
  if (index >= tables.size()) {
    fail(fmt::format("there is no {} {}", thing, index), where,
         tables.empty() ? fmt::format("the configuration has no [[{}]]", list)
                        : fmt::format("{}s count from 0 to {}", thing, tables.size() - 1));
  }
  return {index, path.substr(used + 1)};
}

void set_group(RawConfig& raw, const std::string& path, const std::string& text,
               const std::string& where) {
  const auto [index, key] = table_key(raw.groups, "optimizer.groups", "group", path, where);
  auto& group = raw.groups[index];
  const auto options = optim::group_options();
  const auto* option = find_option(options, key);
  // An unknown key ends in the error of filled_group().
  group.values[key] = {option == nullptr ? OptionValue(text)
                                         : read_value(fmt::format("optimizer.groups.{}", index),
                                                      *option, text, where),
                       where};
  if (option == nullptr) filled_group(group, index);
}

// `list` is "model.layers", `path` "2.units" or "2.layers.0.units".
void set_layer(std::vector<RawConfig::Table>& layers, const std::string& list,
               const std::string& path, const std::string& text, const std::string& where) {
  const auto [index, key] = table_key(layers, list, "layer", path, where);
  auto& layer = layers[index];
  const auto prefix = fmt::format("{}.{}", list, index);
  if (key == "type") {
    nn::layers().at(text, where);
    layer.values[key] = {text, where};
    return;
  }
  const auto& entry = nn::layers().at(type_of(layer, prefix), layer.where);
  const auto head = key.substr(0, key.find('.'));
  const auto* option = find_option(entry.options, head);
  if (option != nullptr && option->type == OptionType::layers && head != key) {
    set_layer(layer.values[head].layers, prefix + "." + head, key.substr(head.size() + 1), text,
              where);
    return;
  }
  // An unknown key ends in resolve()'s error.
  if (option == nullptr || head != key) {
    layer.values[option == nullptr ? head : key] = {text, where};
    filled_layer(layer, prefix);
    return;
  }
  layer.values[key] = {read_value(prefix, *option, text, where), where};
}

// Another name: what only the former one could be told (in the file, say) goes with it.
void set_name(RawConfig& raw, const std::string& section, const std::string& name,
              const std::string& where) {
  const auto options = section_options(section, name, where);  // checks the name
  const auto* former = named_section(section)->find(name_in(raw, section).first);
  auto& entries = raw.sections[section];
  for (const auto& option : former == nullptr ? std::vector<Option>{} : former->options) {
    if (find_option(options, option.key) == nullptr) entries.erase(option.key);
  }
  if (section == "model" && name != "sequential") raw.layers.clear();
  entries["name"] = {name, where};
}

void set_key(RawConfig& raw, const std::string& section, const std::string& key,
             const std::string& text, const std::string& where) {
  std::vector<Option> store;
  const auto* option = option_for(raw, section, key, store);
  if (option == nullptr) {
    const auto* named = named_section(section);
    auto name = name_in(raw, section).first;
    if (named != nullptr && named->find(name) == nullptr) name = named->fallback;
    throw unknown_key(section, name, key, where);
  }
  if (key == "name" && named_section(section) != nullptr) {
    set_name(raw, section, text, where);
    return;
  }
  raw.sections[section][key] = {read_value(section, *option, text, where), where};
}

void set_top_level(RawConfig& raw, const std::string& key, const std::string& text,
                   const std::string& where) {
  const auto options = schema().front().options;
  if (const auto* option = find_option(options, key)) {
    raw.sections[""][key] = {parse_value(*option, text, where), where};
    return;
  }
  const auto& names = section_names();
  if (std::ranges::find(names, key) == names.end()) throw unknown_key("", "", key, where);
  const bool named = named_section(key) != nullptr;
  fail(fmt::format("\"{}\" is a section", key), where,
       named ? fmt::format("write {}.name={}", key, text) : fmt::format("write {}.KEY=value", key));
}

}  // namespace

// ---- Config ----

Options& Config::section(const std::string& name) {
  const std::pair<const char*, Options*> all[] = {{"data", &data},
                                                  {"model", &model},
                                                  {"loss", &loss},
                                                  {"optimizer", &optimizer},
                                                  {"schedule", &schedule},
                                                  {"train", &train},
                                                  {"checkpoint", &checkpoint},
                                                  {"health", &health}};
  for (const auto& [key, options] : all) {
    if (name == key) return *options;
  }
  throw Error(ErrorKind::internal, fmt::format("no section is called \"{}\"", name));
}

const Options& Config::section(const std::string& name) const {
  return const_cast<Config*>(this)->section(name);
}

void RawConfig::set(const std::string& assignment, const std::string& where) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail(fmt::format("\"{}\" is no assignment", assignment), where,
         "write section.key=value, e.g. optimizer.lr=0.01");
  }
  if (!is_utf8(assignment)) fail("the value is not UTF-8", where);
  const auto key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  const auto dot = key.find('.');
  if (dot == std::string::npos) {
    set_top_level(*this, key, text, where);
  } else if (key.starts_with("model.layers.")) {
    set_layer(layers, "model.layers", key.substr(13), text, where);
  } else if (key.starts_with("optimizer.groups.")) {
    set_group(*this, key.substr(17), text, where);
  } else {
    const auto section = key.substr(0, dot);
    const auto& names = section_names();
    if (std::ranges::find(names, section) == names.end()) throw unknown_section(section, where);
    set_key(*this, section, key.substr(dot + 1), text, where);
  }
}

Config resolve_without_data(const RawConfig& raw) {
  const auto& names = section_names();
  for (const auto& [section, entries] : raw.sections) {
    if (section.empty() || std::ranges::find(names, section) != names.end()) continue;
    throw unknown_section(section, entries.empty() ? "" : entries.begin()->second.where);
  }
  Config config;
  const auto top = raw.sections.find("");
  config.seed =
      filled(schema().front().options, top == raw.sections.end() ? Entries{} : top->second, "", "",
             [](const std::string& key, const std::string& where) {
               return unknown_key("", "", key, where);
             })
          .integer("seed");
  for (const auto& name : names) config.section(name) = filled_section(raw, name);
  check_model(raw, config);
  config.layers = filled_layers(raw.layers, "model.layers");
  for (std::size_t i = 0; i < raw.groups.size(); ++i) {
    config.groups.push_back(filled_group(raw.groups[i], i));
  }
  return config;
}

Config resolve(const RawConfig& raw) {
  Config config = resolve_without_data(raw);
  if (config.data.has("path") && !config.data.text("path").empty()) return config;
  fail("there is nothing to train on: data.path is not set", "[data]",
       "set data.path, or say descent train --data FILE");
}

}  // namespace descent::train
