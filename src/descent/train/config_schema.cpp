#include "descent/train/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "descent/data/options.h"
#include "descent/nn/registry.h"
#include "descent/optim/registry.h"
#include "descent/train/health.h"

namespace descent::train {
namespace {

template <class Registry>
NamedSection named(const Registry& registry, const std::string& fallback,
                   std::vector<NamedEntry> more = {}) {
  NamedSection section{.kind = registry.kind(), .fallback = fallback};
  section.entries = std::move(more);
  for (const auto& [name, entry] : registry.entries()) {
    section.entries.push_back({name, entry.help, entry.options});
  }
  std::ranges::sort(section.entries, {}, &NamedEntry::name);
  return section;
}

// What every entry has, whatever it is.
NamedSection with_options(NamedSection section, const std::vector<Option>& options) {
  for (auto& entry : section.entries) {
    entry.options.insert(entry.options.end(), options.begin(), options.end());
  }
  return section;
}

std::map<std::string, NamedSection> named_sections() {
  return {
      {"model",
       with_options(
           named(nn::presets(), "mlp",
                 {{"sequential", "the layers of [[model.layers]], one after another", {}}}),
           initial_options())},
      {"loss", named(nn::losses(), "auto",
                     {{"auto", "cross_entropy for classification, mse for regression", {}}})},
      {"optimizer", with_options(named(optim::optimizers(), "adam"), optimizer_state_options())},
      {"schedule", named(optim::schedules(), "constant")},
  };
}

Option name_option(const NamedSection& section) {
  return {.key = "name",
          .fallback = section.fallback,
          .help = "which " + section.kind,
          .choices = section.names()};
}

// The options that all entries have.
std::vector<Option> shared_options(const NamedSection& section) {
  std::vector<Option> shared;
  for (const auto& option : section.entries.front().options) {
    const auto has = [&](const NamedEntry& e) { return find_option(e.options, option.key); };
    if (std::ranges::all_of(section.entries, has)) shared.push_back(option);
  }
  return shared;
}

const char* help_of(const std::string& section) {
  static const std::map<std::string, const char*> texts = {
      {"data", "What to learn from, and how it is read, split and normalised."},
      {"model", "The function to train: a preset by its name, or a list of layers."},
      {"loss", "What training makes small."},
      {"optimizer", "How parameters follow the gradient."},
      {"schedule", "The learning rate as a function of the step; optimizer.lr is its base."},
      {"train", "How long, in what batches and with which numbers to train."},
      {"checkpoint", "When the state of a run is saved."},
      {"health", "What the watchdog looks at, and what it finds worth telling."},
  };
  return texts.at(section);
}

std::vector<Option> plain_options(const std::string& section) {
  if (section == "data") return data::options();
  if (section == "health") return health_options();
  return section == "train" ? train_options() : checkpoint_options();
}

std::vector<std::string> keys_of(const std::vector<Option>& options) {
  std::vector<std::string> keys;
  for (const auto& option : options) keys.push_back(option.key);
  return keys;
}

bool has_key(const Section& section, const std::string& key) {
  if (find_option(section.options, key) != nullptr) return true;
  const auto* named = named_section(section.name);
  return named != nullptr && std::ranges::any_of(named->entries, [&](const NamedEntry& entry) {
           return find_option(entry.options, key) != nullptr;
         });
}

std::string full_key(const std::string& section, const std::string& key) {
  return section.empty() ? key : section + "." + key;
}

// The other sections that have this very key, as "section.key".
std::vector<std::string> elsewhere(const std::string& section, const std::string& key) {
  std::vector<std::string> places;
  if (key == "name") return places;
  for (const auto& other : schema()) {
    if (other.name != section && has_key(other, key)) places.push_back(full_key(other.name, key));
  }
  return places;
}

// The entries of a named section that have a key the chosen one lacks.
std::vector<std::string> owners(const NamedSection& section, const std::string& key) {
  std::vector<std::string> names;
  for (const auto& entry : section.entries) {
    if (find_option(entry.options, key) != nullptr) names.push_back(entry.name);
  }
  return names;
}

}  // namespace

const NamedEntry* NamedSection::find(const std::string& name) const {
  const auto it = std::ranges::find(entries, name, &NamedEntry::name);
  return it == entries.end() ? nullptr : &*it;
}

std::vector<std::string> NamedSection::names() const {
  std::vector<std::string> all;
  for (const auto& entry : entries) all.push_back(entry.name);
  return all;
}

const NamedSection* named_section(const std::string& section) {
  static const auto all = named_sections();
  const auto it = all.find(section);
  return it == all.end() ? nullptr : &it->second;
}

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = {"data",     "model", "loss",       "optimizer",
                                                 "schedule", "train", "checkpoint", "health"};
  return names;
}

const Option* find_option(const std::vector<Option>& options, const std::string& key) {
  const auto it = std::ranges::find(options, key, &Option::key);
  return it == options.end() ? nullptr : &*it;
}

Option qualified(const std::string& prefix, Option option) {
  option.key = full_key(prefix, option.key);
  return option;
}

std::vector<Section> schema() {
  std::vector<Section> sections;
  sections.push_back(
      {.name = "",
       .help = "Keys before the first section.",
       .options = {{.key = "seed",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{1},
                    .help = "where all random numbers come from: the split of the data, its order, "
                            "initial values, dropout. The same seed gives the same result, "
                            "whatever the number of threads",
                    .min = 0}}});
  for (const auto& name : section_names()) {
    Section section{.name = name, .help = help_of(name)};
    if (const auto* all = named_section(name)) {
      section.named = true;
      section.options = shared_options(*all);
      section.options.insert(section.options.begin(), name_option(*all));
    } else {
      section.options = plain_options(name);
    }
    sections.push_back(std::move(section));
  }
  return sections;
}

std::vector<Option> section_options(const std::string& section, const std::string& name,
                                    const std::string& where) {
  if (std::ranges::find(section_names(), section) == section_names().end()) {
    throw unknown_section(section, where);
  }
  const auto* all = named_section(section);
  if (all == nullptr) return plain_options(section);
  const auto* entry = all->find(name);
  if (entry == nullptr) {
    throw Error(ErrorKind::usage, fmt::format("no {} is called \"{}\"", all->kind, name), where,
                did_you_mean(name, all->names()));
  }
  std::vector<Option> options = entry->options;
  options.insert(options.begin(), name_option(*all));
  return options;
}

Error unknown_key(const std::string& section, const std::string& name, const std::string& key,
                  const std::string& where) {
  std::string what = fmt::format("unknown key \"{}\"", full_key(section, key)), remedy;
  const auto* named = named_section(section);
  const auto options =
      section.empty() ? schema().front().options : section_options(section, name, where);
  if (named != nullptr) what += fmt::format(" of {} \"{}\"", named->kind, name);
  const auto near = closest(key, keys_of(options));
  if (named != nullptr && !owners(*named, key).empty()) {
    remedy = fmt::format("only {} {} this key", fmt::join(owners(*named, key), ", "),
                         owners(*named, key).size() == 1 ? "has" : "have");
  } else if (const auto places = elsewhere(section, key); !places.empty()) {
    remedy = fmt::format("did you mean \"{}\"?", fmt::join(places, "\" or \""));
  } else if (!near.empty()) {
    remedy = fmt::format("did you mean \"{}\"?", full_key(section, near));
  } else if (section.empty()) {
    return Error(ErrorKind::usage, what, where, unknown_section(key, where).remedy());
  } else {
    remedy = fmt::format("the keys of [{}] are {}", section, fmt::join(keys_of(options), ", "));
  }
  return Error(ErrorKind::usage, what, where, remedy);
}

Error unknown_section(const std::string& section, const std::string& where) {
  std::string remedy = did_you_mean(section, section_names());
  const bool listed = remedy.starts_with("one of");
  if (listed) remedy = fmt::format("the sections are {}", fmt::join(section_names(), ", "));
  return Error(ErrorKind::usage, fmt::format("unknown section [{}]", section), where, remedy);
}

}  // namespace descent::train
