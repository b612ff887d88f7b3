#include "descent/cli/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "descent/base/error.h"
#include "descent/cli/assignments.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

using train::RawConfig;

struct Choice {
  std::string key;
  std::vector<std::string> values;
};
using Settings = std::vector<std::pair<std::string, std::string>>;

Choice choice_of(const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no assignment", assignment),
                "--set " + assignment, "write section.key=value,value, e.g. optimizer.lr=0.1,0.01");
  }
  return {assignment.substr(0, equals), split_values(assignment.substr(equals + 1))};
}

// "optimizer" and "lr" of "optimizer.lr"; {"", ""} where the key is none of a named section.
std::pair<std::string, std::string> parts_of(const std::string& key) {
  const auto dot = key.find('.');
  if (dot == std::string::npos) return {};
  const auto section = key.substr(0, dot), rest = key.substr(dot + 1);
  if (train::named_section(section) == nullptr || rest.find('.') != std::string::npos) return {};
  return {section, rest};
}

bool has_option(const std::string& section, const std::string& name, const std::string& key) {
  if (key == "name") return true;
  const auto* entry = train::named_section(section)->find(name);
  return entry == nullptr || train::find_option(entry->options, key) != nullptr;
}

std::string name_in(const RawConfig& raw, const std::string& section) {
  if (const auto it = raw.sections.find(section); it != raw.sections.end()) {
    if (const auto name = it->second.find("name"); name != it->second.end()) {
      if (const auto* text = std::get_if<std::string>(&name->second.value)) return *text;
    }
  }
  return train::named_section(section)->fallback;
}

// What sections name: in the base, and by any of the choices.
class Names {
 public:
  Names(const RawConfig& base, const std::vector<Choice>& choices) {
    for (const auto& section : train::section_names()) {
      if (train::named_section(section) != nullptr) all_[section] = {name_in(base, section)};
    }
    for (const auto& [key, values] : choices) {
      const auto [section, rest] = parts_of(key);
      if (rest == "name") all_[section].insert(values.begin(), values.end());
    }
  }
  // `name` lacks the key, but another that is compared has it.
  bool foreign(const std::string& section, const std::string& name, const std::string& key) const {
    if (has_option(section, name, key)) return false;
    return std::ranges::any_of(all_.at(section), [&](const std::string& other) {
      return other != name && has_option(section, other, key);
    });
  }

 private:
  std::map<std::string, std::set<std::string>> all_;
};

// Every combination, the last choice changing fastest.
std::vector<Settings> combinations(const std::vector<Choice>& choices) {
  std::vector<Settings> all = {{}};
  for (const auto& [key, values] : choices) {
    std::vector<Settings> next;
    for (const auto& one : all) {
      for (const auto& value : values) {
        next.push_back(one);
        next.back().emplace_back(key, value);
      }
    }
    all = std::move(next);
  }
  return all;
}

std::string label_of(const Settings& settings, const std::vector<Choice>& choices) {
  std::string label;
  for (const auto& [key, value] : settings) {
    const auto choice = std::ranges::find(choices, key, &Choice::key);
    if (choice == choices.end() || choice->values.size() < 2) continue;
    if (!label.empty()) label += " ";
    label += key.ends_with(".name") ? value : key.substr(key.rfind('.') + 1) + "=" + value;
  }
  return label.empty() ? "run" : label;
}

// One combination; what does not apply is taken out of `settings` and named in `notes`.
RawConfig applied(const RawConfig& base, Settings& settings, const Names& names,
                  std::set<std::string>& notes) {
  RawConfig raw = base;
  const auto set = [&](const std::string& key, const std::string& value) {
    raw.set(fmt::format("{}={}", key, value), fmt::format("--set {}={}", key, value));
  };
  // Names first: they say which keys there are.
  for (const auto& [key, value] : settings) {
    if (parts_of(key).second == "name") set(key, value);
  }
  const auto note = [&](const std::string& section, const std::string& name,
                        const std::string& key) {
    notes.insert(fmt::format("{} has no {}: {}.{} does not apply to it", name, key, section, key));
  };
  for (auto& [section, entries] : raw.sections) {
    if (train::named_section(section) == nullptr) continue;
    const auto name = name_in(raw, section);
    for (auto it = entries.begin(); it != entries.end();) {
      const bool away = names.foreign(section, name, it->first);
      if (away) note(section, name, it->first);
      it = away ? entries.erase(it) : std::next(it);
    }
  }
  Settings kept;
  for (const auto& [key, value] : settings) {
    const auto [section, rest] = parts_of(key);
    if (!section.empty() && names.foreign(section, name_in(raw, section), rest)) {
      note(section, name_in(raw, section), rest);
      continue;
    }
    if (rest != "name") set(key, value);
    kept.emplace_back(key, value);
  }
  settings = kept;
  return raw;
}

}  // namespace

std::vector<std::string> split_values(const std::string& text) {
  auto parts = split_commas(text);
  for (auto& part : parts) {
    // A quoted value is what is in the quotes.
    if (part.size() > 1 && (part[0] == '"' || part[0] == '\'') && part.back() == part[0])
      part = part.substr(1, part.size() - 2);
  }
  return parts;
}

Grid make_grid(const RawConfig& base, const std::vector<std::string>& assignments) {
  std::vector<Choice> choices;
  for (const auto& assignment : assignments) {
    auto choice = choice_of(assignment);
    std::erase_if(choices, [&](const Choice& c) { return c.key == choice.key; });
    choices.push_back(std::move(choice));
  }
  const Names names(base, choices);
  Grid grid;
  std::set<std::string> notes, seen;
  for (auto& settings : combinations(choices)) {
    Variant variant;
    variant.config = applied(base, settings, names, notes);
    variant.label = label_of(settings, choices);
    for (const auto& [key, value] : settings) {
      const auto choice = std::ranges::find(choices, key, &Choice::key);
      if (choice->values.size() > 1) variant.settings.emplace_back(key, value);
    }
    // The same twice: a list that does not apply here.
    const auto whole = train::to_json(train::resolve_without_data(variant.config)).dump();
    if (seen.insert(whole).second) grid.variants.push_back(std::move(variant));
  }
  grid.notes.assign(notes.begin(), notes.end());
  return grid;
}

}  // namespace descent::cli
