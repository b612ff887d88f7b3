// A table of named things (layers, optimizers, readers): each with its options and a factory.
#pragma once
#include <fmt/format.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/options.h"

namespace descent {

template <class Make>
class Registry {
 public:
  struct Entry {
    std::string name;
    std::string help;  // one sentence, with the source of the formula
    std::vector<Option> options;
    std::function<Make> make;
  };
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}
  void add(Entry entry) {
    auto name = entry.name;
    entries_.insert_or_assign(std::move(name), std::move(entry));
  }
  const Entry* find(const std::string& name) const {
    const auto it = entries_.find(name);
    return it == entries_.end() ? nullptr : &it->second;
  }
  // The entry, or a usage error that suggests a name.
  const Entry& at(const std::string& name, const std::string& where = {}) const {
    if (const auto* entry = find(name)) return *entry;
    throw Error(ErrorKind::usage, fmt::format("no {} is called \"{}\"", kind_, name), where,
                did_you_mean(name, names()));
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, entry] : entries_) all.push_back(name);
    return all;
  }
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::string& kind() const { return kind_; }

 private:
  std::string kind_;
  std::map<std::string, Entry> entries_;
};

}  // namespace descent
