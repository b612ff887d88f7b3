// Configurations to compare: every combination of lists of values.
//
//   --set optimizer.name=sgd,adam --set optimizer.lr=0.1,0.01    four of them
//
// A key that one optimizer (model, loss, schedule) has and another lacks counts only where it
// exists.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "descent/train/config.h"

namespace descent::cli {

// Parts between commas. What is in brackets or quotes stays whole: "[64,32],[128]" has two.
std::vector<std::string> split_values(const std::string& text);

struct Variant {
  std::string label;                                          // "adam lr=0.1"
  std::vector<std::pair<std::string, std::string>> settings;  // of the keys that vary
  train::RawConfig config;
};

struct Grid {
  std::vector<Variant> variants;   // no two the same
  std::vector<std::string> notes;  // what was left out where
};

// Applies assignments ("key=value,value") to `base`, in order. Errors are those of RawConfig::set.
Grid make_grid(const train::RawConfig& base, const std::vector<std::string>& assignments);

}  // namespace descent::cli
