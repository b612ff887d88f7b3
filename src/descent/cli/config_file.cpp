#include "descent/cli/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

using Entry = train::RawConfig::Entry;

[[noreturn]] void fail(const std::string& what, const std::string& where,
                       const std::string& remedy = {}) {
  throw Error(ErrorKind::usage, what, where, remedy);
}

// TOML's tree as a RawConfig. Places are those of the keys.
class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  train::RawConfig read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string section(key.str());
      if (const auto* table = node.as_table()) {
        read_section(section, *table);
      } else if (node.is_array_of_tables()) {
        fail(fmt::format("unknown list of tables [[{}]]", section), at(key),
             section == "layers"   ? "write [[model.layers]]"
             : section == "groups" ? "write [[optimizer.groups]]"
                                   : "only [[model.layers]] and [[optimizer.groups]] are some");
      } else {
        check_top_level(section, key);
        raw_.sections[""][section] = {value(node, key, section), at(key)};
      }
    }
    return std::move(raw_);
  }

 private:
  std::string at(const toml::source_region& source) const {
    return fmt::format("{}:{}:{}", name_, source.begin.line, source.begin.column);
  }
  std::string at(const toml::key& key) const { return at(key.source()); }

  // optimizer = "adam" where [optimizer] is a section.
  void check_top_level(const std::string& section, const toml::key& key) const {
    const auto sections = train::schema();
    const auto it = std::ranges::find(sections, section, &train::Section::name);
    if (it == sections.end()) return;
    fail(fmt::format("\"{}\" is a section", section), at(key),
         it->named ? fmt::format("write [{0}] and below it name = \"...\", or {0}.name = \"...\"",
                                 section)
                   : fmt::format("write [{}] and its keys below it", section));
  }

  void read_section(const std::string& section, const toml::table& table) {
    const auto& names = train::section_names();
    if (std::ranges::find(names, section) == names.end()) {
      throw train::unknown_section(section, at(table.source()));
    }
    auto& entries = raw_.sections[section];
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      // Presets may have a number of layers.
      if (section == "model" && name == "layers" && !node.is_integer()) {
        raw_.layers = tables(node, key, "model.layers", "layer");
      } else if (section == "optimizer" && name == "groups") {
        raw_.groups = tables(node, key, "optimizer.groups", "group");
      } else {
        entries[name] = {value(node, key, fmt::format("{}.{}", section, name)), at(key)};
      }
    }
  }

  // A layer may hold lists of layers itself, as `layers = [{type = "relu"}]` or as tables of their
  // own, [[model.layers.layers]].
  std::vector<train::RawConfig::Table> tables(const toml::node& node, const toml::key& key,
                                              const std::string& full, const char* thing) const {
    if (!node.is_array_of_tables()) {
      fail(full + " is not a list of tables", at(key),
           fmt::format("write each {} as [[{}]] with its keys below it", thing, full));
    }
    std::vector<train::RawConfig::Table> out;
    for (const auto& table : *node.as_array()) {
      const auto prefix = fmt::format("{}.{}.", full, out.size());
      auto& to = out.emplace_back();
      to.where = at(table.source());
      for (const auto& [name, x] : *table.as_table()) {
        const std::string text(name.str());
        if (full.starts_with("model.") && x.is_array_of_tables()) {
          to.values[text] = {{}, at(name), tables(x, name, prefix + text, thing)};
        } else {
          to.values[text] = {value(x, name, prefix + text), at(name)};
        }
      }
    }
    return out;
  }

  OptionValue value(const toml::node& node, const toml::key& key, const std::string& full) const {
    if (const auto* x = node.as_boolean()) return x->get();
    if (const auto* x = node.as_integer()) return x->get();
    if (const auto* x = node.as_floating_point()) return x->get();
    if (const auto* x = node.as_string()) return x->get();
    if (const auto* x = node.as_array()) return list(*x, key, full);
    if (node.is_table()) {
      fail(fmt::format("\"{}\" is a table where a value is wanted", full), at(key));
    }
    fail(fmt::format("\"{}\" is a date or time; no key takes one", full), at(key),
         "put it into quotes to make it a text");
  }

  OptionValue list(const toml::array& array, const toml::key& key, const std::string& full) const {
    const auto all = [&](auto test) { return std::all_of(array.begin(), array.end(), test); };
    if (all([](const toml::node& x) { return x.is_integer(); })) {
      std::vector<std::int64_t> out;
      for (const auto& x : array) out.push_back(x.as_integer()->get());
      return out;
    }
    if (all([](const toml::node& x) { return x.is_number(); })) {
      std::vector<double> out;
      for (const auto& x : array) out.push_back(*x.value<double>());
      return out;
    }
    if (all([](const toml::node& x) { return x.is_string(); })) {
      std::vector<std::string> out;
      for (const auto& x : array) out.push_back(x.as_string()->get());
      return out;
    }
    fail(fmt::format("\"{}\" is a list of mixed or nested values", full), at(key),
         "a list holds numbers only, or texts only");
  }

  std::string name_;
  train::RawConfig raw_;
};

}  // namespace

train::RawConfig parse_config(const std::string& text, const std::string& name) {
  try {
    return Reader(name).read(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    fail(fmt::format("not valid TOML: {}", error.description()),
         fmt::format("{}:{}:{}", name, begin.line, begin.column));
  }
}

train::RawConfig read_config_file(const std::string& path) {
  std::string text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    throw Error(ErrorKind::usage, error.message(), error.where(), error.remedy());
  }
  return parse_config(text, path);
}

}  // namespace descent::cli
