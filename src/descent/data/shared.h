// Data that several jobs use: loaded once for each set of [data] options and seed, as load() does.
// The jobs share the arrays, which nobody writes.
#pragma once
#include <list>
#include <map>

#include "descent/data/pipeline.h"

namespace descent::data {

class SharedData {
 public:
  // Of what was asked for last, as much is kept as fits into `bytes`, and always the last.
  explicit SharedData(std::size_t bytes = std::size_t{1} << 30) : bytes_(bytes) {}
  Splits operator()(const Options& options, std::uint64_t seed);

 private:
  struct Kept {
    std::map<std::string, OptionValue> options;
    std::uint64_t seed = 0;
    Splits splits;
    std::size_t bytes = 0;
  };
  std::size_t bytes_;
  std::list<Kept> kept_;  // the newest first
};

}  // namespace descent::data
