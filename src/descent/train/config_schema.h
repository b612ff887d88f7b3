// The parts of the schema behind train/config.h: what a named section ([model], [loss],
// [optimizer], [schedule]) can name, and errors that help to find the right key.
#pragma once
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/options.h"
#include "descent/train/config.h"

namespace descent::train {

// One thing that a named section can name: "adam" of [optimizer].
struct NamedEntry {
  std::string name, help;
  std::vector<Option> options;  // without `name`
};

// All that a named section can name, in alphabetical order, and what it names by default.
struct NamedSection {
  std::string kind;  // "optimizer", for errors
  std::string fallback;
  std::vector<NamedEntry> entries;

  // The entry, or nullptr.
  const NamedEntry* find(const std::string& name) const;
  std::vector<std::string> names() const;
};

// Nullptr where the section is not a named one.
const NamedSection* named_section(const std::string& section);

// The names of all sections, in the order of the reference.
const std::vector<std::string>& section_names();

// The option of that key, or nullptr.
const Option* find_option(const std::vector<Option>& options, const std::string& key);

// An option under its full name ("optimizer.lr"), for errors.
Option qualified(const std::string& prefix, Option option);

// What to throw for a key that a section does not have. `name`: what the section names, or empty.
Error unknown_key(const std::string& section, const std::string& name, const std::string& key,
                  const std::string& where);
// The same for a section.
Error unknown_section(const std::string& section, const std::string& where);

// As resolve(), but data.path may be absent: to print defaults, to read a saved model.
Config resolve_without_data(const RawConfig& raw);

}  // namespace descent::train
