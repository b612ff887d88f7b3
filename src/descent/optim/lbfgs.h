// L-BFGS as an optimizer of training, for use from C++; formulas stand in transforms/lbfgs.cpp.
#pragma once
#include "descent/optim/optimizers.h"

namespace descent::optim {

struct LbfgsOptions {
  enum class LineSearch { none, strong_wolfe };
  // What y is the difference of: the gradients of two steps, or of this step's batch at both ends
  // of its step (a second gradient a step).
  enum class PairsOf { steps, same_batch };

  Rate lr = 1.0;
  std::int64_t history = 10;
  LineSearch line_search = LineSearch::none;
  PairsOf pairs = PairsOf::steps;
  double damping = 0;  // y + damping s
  double c1 = 1e-4, c2 = 0.9;
  std::int64_t max_evaluations = 25;  // of one search
  double l2 = 0;                      // penalty l2 |theta|^2 / 2, of the loss too
  Decayed decayed = except_bias_and_norm;
};
Optimizer lbfgs(const LbfgsOptions& options = {});

}  // namespace descent::optim
