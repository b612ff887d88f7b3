// Runs that the watchdog looks at, and what it wrote of them.
#pragma once
#include <cmath>
#include <set>

#include "descent/train/health.h"
#include "tests/train/support.h"

namespace descent::test {

using Texts = std::vector<std::string>;

inline std::vector<nlohmann::json> lines_of(const std::string& directory, const std::string& kind) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(directory + "/health.jsonl"));
  for (std::string line; std::getline(text, line);) {
    const auto object = nlohmann::json::parse(line);
    if (object.at("kind") == kind) lines.push_back(object);
  }
  return lines;
}

// What was found and is not over, as "rule layer": "dead_relu 3".
inline std::set<std::string> found_in(const std::string& directory) {
  std::set<std::string> all;
  for (const auto& f : lines_of(directory, "finding")) {
    if (f.at("severity") != "ended")
      all.insert(f.at("rule").get<std::string>() + " " + f.at("layer").get<std::string>());
  }
  return all;
}

inline std::string text_of(const std::string& directory, const std::string& rule) {
  for (const auto& f : lines_of(directory, "finding")) {
    if (f.at("rule") == rule)
      return f.at("text").get<std::string>() + "; " + f.at("remedy").get<std::string>();
  }
  return "no finding of " + rule;
}

// `hidden` layers of a kind, each after a linear one, and a linear one at the end.
struct Deep {
  std::string kind;
  int hidden;
  std::int64_t units;
  std::string init = "default", bias_init = "default";
};
inline train::Config deep_config(const Deep& deep, const Texts& assignments,
                                 std::int64_t outputs = 2) {
  train::RawConfig raw;
  const auto layer = [&](std::map<std::string, OptionValue> values) {
    auto& to = raw.layers.emplace_back();
    to.where = "test";
    for (auto& [key, value] : values) to.values[key] = {value, "test"};
  };
  for (int i = 0; i < deep.hidden; ++i) {
    layer({{"type", "linear"},
           {"units", deep.units},
           {"init", deep.init},
           {"bias_init", deep.bias_init}});
    layer({{"type", deep.kind}});
  }
  layer({{"type", "linear"}, {"units", outputs}});
  for (const auto& a : assignments) raw.set(a, "test");
  return train::resolve(raw);
}

class Watched {
 public:
  explicit Watched(const Texts& assignments) : Watched(config_of(assignments)) {}
  explicit Watched(train::Config config, const std::function<void(train::Job&)>& change = {}) {
    train::Job job = train::prepare(std::move(config), told);
    if (change) change(job);
    train::run(job, {folder / "run"}, told);
    found = found_in(folder / "run");
  }
  std::string text(const std::string& rule) const { return text_of(folder / "run", rule); }
  Folder folder;
  Recorder told;
  std::set<std::string> found;
};

}  // namespace descent::test
