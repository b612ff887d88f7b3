// The weights that a run is judged by and saves, where its optimizer keeps such beside the ones it
// trains (a running average: optim::Transform::averaged).
#pragma once
#include "descent/compile/plan.h"
#include "descent/optim/transform.h"
#include "descent/train/state.h"

namespace descent::train {

class AveragedWeights {
 public:
  // Borrows `state`, whose arrays must stay where they are.
  AveragedWeights(const optim::Optimizer& optimizer, const std::vector<nn::Variable>& variables,
                  TrainState& state);
  // What to evaluate: arrays of its own, brought up to date by refresh(); or, where the optimizer
  // keeps none, the state's parameters themselves.
  nn::Tree& tree() { return tree_; }
  bool any() const { return static_cast<bool>(plan_); }
  // From the state as it is now. Before the first step: the parameters.
  void refresh();

 private:
  TrainState& state_;
  nn::Tree tree_;
  Plan plan_;  // null: no averages
};

}  // namespace descent::train
