// Config as JSON: {"seed": 1, "data": {...}, "model": {"name": ..., "layers": [{"type": ...}]},
// ...}. Numbers that JSON cannot write (inf, nan) are texts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "descent/nn/registry.h"
#include "descent/optim/partition.h"
#include "descent/train/config.h"
#include "descent/train/config_schema.h"

namespace descent::train {
namespace {

using nlohmann::json;

json number(double x) {
  if (std::isfinite(x)) return x;
  return to_string(OptionValue(x));
}

json layers_to_json(const std::vector<LayerConfig>& layers);

json to_json(const OptionValue& value) {
  return std::visit(
      [](const auto& x) -> json {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, double>) {
          return number(x);
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          json list = json::array();
          for (const double one : x) list.push_back(number(one));
          return list;
        } else if constexpr (std::is_same_v<T, std::vector<LayerConfig>>) {
          return layers_to_json(x);
        } else {
          return x;
        }
      },
      value);
}

json to_json(const Options& options) {
  json object = json::object();
  for (const auto& [key, value] : options.values()) {
    if (options.has(key)) object[key] = to_json(value);
  }
  return object;
}

json layers_to_json(const std::vector<LayerConfig>& layers) {
  json list = json::array();
  for (const auto& layer : layers) {
    list.push_back(to_json(layer.options));
    list.back()["type"] = layer.type;
  }
  return list;
}

[[noreturn]] void fail(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, what, where, "the file was not written by descent, or is damaged");
}

std::optional<double> special(const std::string& text) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (text == "inf") return inf;
  if (text == "-inf") return -inf;
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::vector<double> numbers(const json& list, const std::string& where) {
  std::vector<double> out;
  for (const auto& x : list) {
    const auto odd = x.is_string() ? special(x.get<std::string>()) : std::nullopt;
    if (!odd && !x.is_number()) fail("the list mixes types", where);
    out.push_back(odd ? *odd : x.get<double>());
  }
  return out;
}

std::int64_t integer(const json& x, const std::string& where) {
  const bool fits = !x.is_number_unsigned() || x.get<std::uint64_t>() <= std::uint64_t{1} << 62;
  if (!fits) fail("the number is too large", where);
  return x.get<std::int64_t>();
}

OptionValue list_value(const json& list, const std::string& where) {
  const auto all = [&](auto test) { return std::all_of(list.begin(), list.end(), test); };
  if (all([](const json& x) { return x.is_number_integer(); })) {
    std::vector<std::int64_t> out;
    for (const auto& x : list) out.push_back(integer(x, where));
    return out;
  }
  if (all([](const json& x) { return x.is_string(); })) return list.get<std::vector<std::string>>();
  return numbers(list, where);
}

// As an option of `type` would have it (only inf and nan need to know).
OptionValue value_of(const json& x, const Option* option, const std::string& where) {
  const auto type = option != nullptr ? option->type : OptionType::text;
  if (x.is_boolean()) return x.get<bool>();
  if (x.is_number_integer()) return integer(x, where);
  if (x.is_number()) return x.get<double>();
  if (x.is_string()) {
    const auto odd = type == OptionType::number ? special(x.get<std::string>()) : std::nullopt;
    return odd ? OptionValue(*odd) : OptionValue(x.get<std::string>());
  }
  if (x.is_array() && type == OptionType::numbers) return numbers(x, where);
  if (x.is_array()) return list_value(x, where);
  if (x.is_null()) return {};
  fail("an object stands where a value is wanted", where);
}

const json& object(const json& x, const std::string& where) {
  if (!x.is_object()) fail("not an object", where);
  return x;
}

std::vector<Option> options_of(const std::string& section, const json& values) {
  const auto name = values.find("name");
  const bool text = name != values.end() && name->is_string();
  const auto* named = named_section(section);
  if (named == nullptr) return section_options(section, "", section);
  return section_options(section, text ? name->get<std::string>() : named->fallback, section);
}

std::vector<Option> options_of_layer(const json& layer) {
  const auto type = layer.find("type");
  if (type == layer.end() || !type->is_string()) return {};
  const auto* entry = nn::layers().find(type->get<std::string>());
  return entry == nullptr ? std::vector<Option>{} : entry->options;
}

template <class OptionsOf>
std::vector<RawConfig::Table> tables_from(const json& list, const std::string& where,
                                          const OptionsOf& options_of_table) {
  if (!list.is_array()) fail("not a list", where);
  std::vector<RawConfig::Table> tables;
  for (const auto& table : list) {
    auto& to = tables.emplace_back();
    to.where = fmt::format("{}.{}", where, tables.size() - 1);
    const auto options = options_of_table(object(table, to.where));
    for (const auto& [key, x] : table.items()) {
      const auto* option = find_option(options, key);
      if (option != nullptr && option->type == OptionType::layers && !x.empty()) {
        const auto inside = fmt::format("{}.{}", to.where, key);
        to.values[key] = {{}, to.where, tables_from(x, inside, options_of_table)};
      } else {
        to.values[key] = {value_of(x, option, to.where), to.where};
      }
    }
  }
  return tables;
}

RawConfig raw_from(const json& whole) {
  RawConfig raw;
  for (const auto& [section, values] : object(whole, "configuration").items()) {
    if (section == "seed") {
      raw.sections[""]["seed"] = {value_of(values, nullptr, "seed"), "seed"};
      continue;
    }
    const auto options = options_of(section, object(values, section));
    for (const auto& [key, value] : values.items()) {
      const auto where = fmt::format("{}.{}", section, key);
      if (where == "model.layers" && !value.is_number()) {
        raw.layers = tables_from(value, where, options_of_layer);
      } else if (where == "optimizer.groups") {
        raw.groups = tables_from(value, where, [](const json&) { return optim::group_options(); });
      } else {
        raw.sections[section][key] = {value_of(value, find_option(options, key), where), where};
      }
    }
  }
  return raw;
}

}  // namespace

json to_json(const Config& config) {
  json out = {{"seed", config.seed}};
  for (const auto& name : section_names()) out[name] = to_json(config.section(name));
  for (const auto& group : config.groups)
    out["optimizer"]["groups"].push_back(to_json(group.options));
  if (config.layers.empty()) return out;
  out["model"]["layers"] = layers_to_json(config.layers);
  return out;
}

RawConfig raw_config_from_json(const json& whole) { return raw_from(whole); }

Config config_from_json(const json& whole) {
  try {
    return resolve_without_data(raw_from(whole));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    throw Error(ErrorKind::data, error.message(), error.where(), error.remedy());
  }
}

}  // namespace descent::train
