// Sophia-H: momentum over a running diagonal of the Hessian; formula in transforms/sophia.cpp.
#pragma once
#include "descent/optim/optimizers.h"

namespace descent::optim {

struct SophiaScale {
  double b1 = 0.965, b2 = 0.99, gamma = 0.01, eps = 1e-12;
  std::int64_t hessian_every = 10;
};
Optimizer scale_by_sophia(SophiaScale options = {});

struct SophiaOptions {
  Rate lr = 1e-3;
  SophiaScale scale = {};
  double weight_decay = 0.1;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer sophia(const SophiaOptions& options = {});

}  // namespace descent::optim
