// The table of losses: one row per registered loss at least, each run through every shared check of
// loss_test.cpp. A new loss adds its rows here and its PyTorch twin to LOSSES of
// tests/golden/nn_golden.py.
#pragma once
#include "tests/nn/harness.h"

namespace descent::nn::test {

enum class Targets { numbers, probabilities, labels };

struct LossCase {
  std::string name;  // of the case, also in the golden file
  std::string loss;  // in the registry
  Options options;
  Shape prediction;
  Targets targets = Targets::numbers;
  std::int64_t classes = 0;  // of the labels
  bool weighted = false;
  bool linear = false;  // no second derivative
};
inline void PrintTo(const LossCase& c, std::ostream* out) { *out << c.name; }

inline std::vector<LossCase> loss_cases() {
  using enum Targets;
  const Shape scores{8, 4}, positions{8, 3, 4}, wide{8, 3}, single{8, 1};
  const std::vector<double> weights{0.5, 2.0, 1.25, 0.25};
  const auto smoothed = with({{"label_smoothing", 0.2}});
  const auto by_class = with({{"class_weights", weights}});
  const auto both = with({{"label_smoothing", 0.2}, {"class_weights", weights}});
  const std::string ce = "cross_entropy", bce = "binary_cross_entropy";
  return {
      {"mse", "mse", {}, wide},
      {"mse_weighted", "mse", {}, single, numbers, 0, true},
      {.name = "mae", .loss = "mae", .prediction = wide, .linear = true},
      {"huber", "huber", {}, wide},
      {"huber_delta", "huber", with({{"delta", 0.6}}), wide, numbers, 0, true},
      {"cross_entropy", ce, {}, scores, labels, 4},
      {"cross_entropy_weighted", ce, {}, scores, labels, 4, true},
      {"cross_entropy_smoothed", ce, smoothed, scores, labels, 4},
      {"cross_entropy_class_weights", ce, by_class, scores, labels, 4},
      {"cross_entropy_both", ce, both, scores, labels, 4},
      {"cross_entropy_probabilities", ce, {}, scores, probabilities},
      {"cross_entropy_probabilities_weighted", ce, {}, scores, probabilities, 0, true},
      {"cross_entropy_probabilities_both", ce, both, scores, probabilities},
      {"cross_entropy_positions", ce, {}, positions, labels, 4},
      {"cross_entropy_positions_weighted", ce, {}, positions, labels, 4, true},
      {"cross_entropy_positions_both", ce, both, positions, labels, 4},
      {"binary_cross_entropy", bce, {}, single, labels, 2},
      {"binary_cross_entropy_weighted", bce, {}, single, labels, 2, true},
      {"binary_cross_entropy_rest", bce, {}, wide, labels, 3},
      {"binary_cross_entropy_numbers", bce, {}, wide, probabilities},
      {"hinge", "hinge", {}, single, labels, 2, false, true},
      {"hinge_classes", "hinge", {}, scores, labels, 4, true, true},
  };
}

}  // namespace descent::nn::test
