// Several trainings side by side: what `descent compare` measures, and how it shows it.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "descent/plot/figure.h"

namespace descent::cli {

// One training.
struct Trial {
  std::int64_t seed = 0;
  std::string directory;
  std::string reason;  // why it ended
  int exit_code = 0;
  double best = 0, last = 0, train_loss = 0, seconds = 0;  // NaN where not measured
  std::int64_t steps = 0;
  std::vector<double> at, after, loss;  // the curve: steps, seconds, loss
};

// One combination with all its seeds.
struct Contender {
  std::string label;
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<Trial> trials;

  std::size_t diverged() const;
};

// Of the values that are numbers; NaN where there is none. The deviation is the sample's (n - 1), 0
// for one value.
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<double>& values);
// Of the trials that have not diverged.
Spread spread_of(const Contender& contender, double Trial::*member);

struct Comparison {
  std::string metric;  // "loss", of what split
  bool larger_is_better = false;
  std::string curve;  // "validation loss"
  std::vector<Contender> contenders;
};

// The best first: those with fewer diverged trials, then by the mean of the best metric.
void rank(Comparison& comparison);
std::string table_of(const Comparison& comparison);
nlohmann::ordered_json json_of(const Comparison& comparison);
// Two panels: the loss against steps and against seconds, the deviation over seeds as a band.
plot::Figure figure_of(const Comparison& comparison);

}  // namespace descent::cli
