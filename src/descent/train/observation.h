// What an observed step saw of a model: norms of each parameter, statistics of each activation.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace descent::train {

struct ParameterSeen {
  std::string name;     // "0.weight"
  bool matrix = false;  // of rank 2 and more: no bias, no normalisation
  double gradient_norm = 0;
  double mean_gradient = 0;  // mean |g| over the elements that are not 0
  double weight_norm = 0;    // before the update
  double update_norm = 0;
  double update_ratio() const;  // update_norm / weight_norm; infinite from a weight of zeros

  std::string layer() const;  // "0" of "0.weight"
};

struct ActivationSeen {
  std::string name, kind;  // "1", "relu"
  bool last = false;       // gives the model's output
  double mean = 0, deviation = 0;
  double dead = -1;       // share of units that are 0 for every row of the batch; -1: not a ReLU
  double saturated = -1;  // share of outputs where the derivative is nearly 0; -1: cannot be

  std::string label() const;  // "layer 1 relu"
};

struct Observation {
  std::int64_t step = 0, epoch = 0;  // updates done after this step; epoch from 1
  std::int64_t rows = 0;
  double loss = 0, gradient_norm = 0, lr = 0;
  std::vector<ParameterSeen> parameters;
  std::vector<ActivationSeen> activations;

  // Part of the units of a ReLU layer, or of the outputs of a layer that saturates: the largest of
  // all hidden layers.
  double most_silent() const;
};

// Smallest and largest of some values, and how many are NaN or infinite.
struct ValueRange {
  std::string name, kind;  // kind "gradient": of a parameter
  double low = 0, high = 0;
  std::int64_t bad = 0, size = 0;
};

}  // namespace descent::train
