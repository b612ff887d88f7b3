// The weights that a run is judged by and saves, where its optimizer keeps such beside the ones it
// trains (a running average: optim::Transform::averaged), and the running statistics of
// normalisation that belong to them.
#pragma once
#include <memory>

#include "descent/compile/plan.h"
#include "descent/train/statistics.h"

namespace descent::train {

class AveragedWeights {
 public:
  // Borrows `job` and `state`, whose arrays must stay where they are.
  AveragedWeights(const Job& job, TrainState& state, const StepOptions& options);
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;
  // What to evaluate: arrays of its own, brought up to date by refresh(); or, where the optimizer
  // keeps none, the state's parameters and buffers themselves.
  nn::Tree& tree() { return tree_; }
  nn::Tree& buffers() { return buffers_; }
  // From the state as it is now. Before the first step: the parameters.
  void refresh();

  // For the user: that averages are used, and whose the statistics are. Empty: no averages.
  std::string note() const;

 private:
  TrainState& state_;
  nn::Tree tree_, buffers_;
  Plan plan_;                                    // null: nothing but the parameters
  bool average_ = false;                         // over steps
  std::unique_ptr<BatchStatistics> statistics_;  // null: those of the weights that are trained
};

}  // namespace descent::train
