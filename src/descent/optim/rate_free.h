// Optimizers that need no schedule or find the size of their steps; formulas and conventions in
// transforms/{schedule_free,prodigy,dadapt,dog,polyak}.cpp. Where lr is 1 it is a factor of what
// they find: leave it, or give a schedule that starts at 1.
#pragma once
#include <optional>

#include "descent/optim/optimizers.h"

namespace descent::optim {

// The weights of schedule_free_* are those where gradients are taken; Transform::averaged gives the
// ones to use.
struct ScheduleFreeSgdOptions {
  Rate lr = 1.0;
  double beta = 0.9, weight_lr_power = 2;
  double weight_decay = 0;  // coupled: added to the gradient
  Decayed decayed = except_bias_and_norm;
};
Optimizer schedule_free_sgd(const ScheduleFreeSgdOptions& options = {});

struct ScheduleFreeAdamwOptions {
  Rate lr = 0.0025;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8, weight_lr_power = 2;
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer schedule_free_adamw(const ScheduleFreeAdamwOptions& options = {});

struct ProdigyOptions {
  Rate lr = 1.0;
  double b1 = 0.9, b2 = 0.999;
  std::optional<double> b3 = {};  // none: sqrt(b2)
  double eps = 1e-8, d0 = 1e-6, d_coef = 1;
  bool bias_correction = false, safeguard_warmup = false;
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer prodigy(const ProdigyOptions& options = {});

struct DadaptAdamOptions {
  Rate lr = 1.0;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8, d0 = 1e-6;
  bool bias_correction = false;
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer dadapt_adam(const DadaptAdamOptions& options = {});

struct DogOptions {
  double initial_distance = 1e-6;  // times 1 + |parameters|
  double eps = 1e-8;
};
Optimizer scale_by_dog(DogOptions options = {});

struct PolyakOptions {
  double f_min = 0, max_step = 1, eps = 0;
};
Optimizer scale_by_polyak(PolyakOptions options = {});

}  // namespace descent::optim
