// Probes: what is looked at inside of a training step while it is traced.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "descent/nn/module.h"
#include "descent/optim/transform.h"
#include "descent/train/observation.h"

namespace descent::train {

// The step as values.
struct Traced {
  ValueSpan parameters, gradients;
  ValueSpan next;  // parameters after the update
  const std::vector<nn::LayerOutput>& layers;
  Value prediction;  // what the model gives
};

class Probe {
 public:
  virtual ~Probe() = default;
  // What the step puts out besides: scalars.
  virtual Values outputs(const Traced& step) = 0;
};

// The norms and statistics of an Observation. The outputs are in the order in which read() takes
// their numbers: five of each parameter, then those of each activation.
class StepProbe final : public Probe {
 public:
  Values outputs(const Traced& step) override;
  Observation read(const std::vector<optim::Parameter>& parameters,
                   std::span<const double> values) const;

 private:
  std::vector<ActivationSeen> layers_;  // activations by name and kind, as last traced
};

// The smallest and the largest value of each layer and each gradient, where the step is computed
// while it is traced (inside an EagerScope).
class RangeProbe final : public Probe {
 public:
  explicit RangeProbe(int shards) : shards_(shards) {}
  Values outputs(const Traced& step) override;
  const std::vector<ValueRange>& layers() const { return layers_; }
  const ValueRange& gradient(std::size_t i) const { return gradients_.at(i); }

 private:
  int shards_;
  std::vector<ValueRange> layers_, gradients_;
};

// Beyond this a tanh has a derivative below 0.02; a sigmoid is (1 + tanh(x / 2)) / 2.
inline constexpr double kSaturated = 0.99;

}  // namespace descent::train
