// The other first-order optimizers, for use from C++; optimizers.h has the common ones and says
// what all share. Formulas, conventions and sources stand in the file of each (transforms/*.cpp).
#pragma once
#include <cstdint>
#include <optional>

#include "descent/optim/optimizers.h"

namespace descent::optim {

struct AdadeltaOptions {
  Rate lr = 1.0;
  double rho = 0.9, eps = 1e-6;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer adadelta(const AdadeltaOptions& options = {});

struct AdamaxOptions {
  Rate lr = 2e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer adamax(const AdamaxOptions& options = {});

struct NadamOptions {
  Rate lr = 2e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  double momentum_decay = 4e-3;
  double weight_decay = 0;
  bool decoupled = false;  // what weight_decay means
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
};
Optimizer nadam(const NadamOptions& options = {});

struct RadamOptions {
  Rate lr = 1e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;  // what weight_decay means
  Decayed decayed = except_bias_and_norm;
};
Optimizer radam(const RadamOptions& options = {});

struct AdabeliefOptions {
  Rate lr = 1e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-16, eps_root = 1e-16;
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer adabelief(const AdabeliefOptions& options = {});

struct YogiOptions {
  Rate lr = 1e-2;
  double b1 = 0.9, b2 = 0.999, eps = 1e-3, initial_accumulator = 1e-6;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer yogi(const YogiOptions& options = {});

struct AdanOptions {
  Rate lr = 1e-3;
  double b1 = 0.98, b2 = 0.92, b3 = 0.99, eps = 1e-8, eps_root = 1e-8;
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer adan(const AdanOptions& options = {});

struct LionOptions {
  Rate lr = 1e-4;
  double b1 = 0.9, b2 = 0.99;
  double weight_decay = 1e-3;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer lion(const LionOptions& options = {});

struct SignumOptions {
  Rate lr = 1e-3;
  double momentum = 0.9;    // 0: signSGD
  double weight_decay = 0;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer signum(const SignumOptions& options = {});

struct RpropOptions {
  double lr = 1e-2;  // the first step of every element
  double eta_minus = 0.5, eta_plus = 1.2, step_min = 1e-6, step_max = 50;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer rprop(const RpropOptions& options = {});

struct AsgdOptions {
  Rate lr = 1e-2;
  double lambd = 1e-4, alpha = 0.75, t0 = 1e6;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer asgd(const AsgdOptions& options = {});

struct FtrlOptions {
  Rate lr = 0.1;
  double beta = 1, initial_accumulator = 0;
  double l1 = 0, l2 = 0;             // of the closed form, not of the gradient
  std::optional<double> alpha = {};  // the rate that l1 and l2 are divided by; none: lr's first
  double weight_decay = 0;           // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer ftrl(const FtrlOptions& options = {});

struct NesterovOptions {
  Rate lr = 1e-2;
  double momentum = 0.9;
  bool convex = false;      // momentum t / (t + 3) instead
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer nesterov(const NesterovOptions& options = {});

struct LambOptions {
  Rate lr = 1e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-6;
  double weight_decay = 0;  // inside of the trust ratio
  Decayed decayed = except_bias_and_norm;
};
Optimizer lamb(const LambOptions& options = {});

struct LarsOptions {
  Rate lr = 0.1;
  double momentum = 0.9, trust_coefficient = 1e-3, eps = 0;
  bool nesterov = false;
  double weight_decay = 0;  // inside of the trust ratio
  Decayed decayed = except_bias_and_norm;
};
Optimizer lars(const LarsOptions& options = {});

struct AdafactorOptions {
  Rate lr = 1e-2;
  double beta2_decay = -0.8, d = 1, eps2 = 1e-3;
  std::optional<double> eps1 = {};  // none: the machine epsilon of the parameter's type
  double weight_decay = 0;          // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer adafactor(const AdafactorOptions& options = {});

struct Sm3Options {
  Rate lr = 0.1;
  double momentum = 0.9, b2 = 1, eps = 1e-8;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer sm3(const Sm3Options& options = {});

struct ExponentiatedGradientOptions {
  Rate lr = 0.1;
  double beta = 1;
  bool simplex = false;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer exponentiated_gradient(const ExponentiatedGradientOptions& options = {});

// Times |parameter| / |update|, and by 1 where one of the two is 0; norms of each parameter tensor.
Optimizer scale_by_trust_ratio();

}  // namespace descent::optim
