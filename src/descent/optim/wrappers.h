// What can be put around any optimizer: before its rule, where it sees gradients, or after its
// rate, where it sees updates. Formulas and sources stand in wrappers/*.cpp.
//
//   auto opt = chain({sharpness_aware({.rho = 0.05}), adamw(), average_weights_ema(0.999)});
#pragma once
#include "descent/base/options.h"
#include "descent/optim/optimizers.h"

namespace descent::optim {

// ---- before the rule ----

struct SharpnessOptions {
  double rho = 0.05;
  bool adaptive = false;
};
// Gradients at the worst point within rho instead (SAM): begins a chain, and costs a second
// gradient.
Optimizer sharpness_aware(SharpnessOptions options = {});
// Gradients of matrices and convolutions without their mean over the inputs of each output.
Optimizer centralize();
// Adds normal noise of variance eta / (1 + step)^gamma.
Optimizer gradient_noise(double eta, double gamma = 0.55);

// ---- after the rate: end a chain ----

struct LookaheadOptions {
  std::int64_t steps = 5;
  double alpha = 0.5;
};
// Every `steps` steps back to a slow copy that has moved on by alpha of the way.
Optimizer lookahead(LookaheadOptions options = {});
// Keep averages of the weights, which are validated, tested and saved (Transform::averaged), while
// training goes on with the weights themselves.
Optimizer average_weights_ema(double decay);
struct SwaOptions {
  std::int64_t start = 0;  // the first step whose result is averaged
  std::int64_t every = 1;  // then each so many
};
Optimizer average_weights_swa(SwaOptions options = {});

// ---- as options of every optimizer of the registry ----

std::vector<Option> wrapper_options();
// The pieces that a configuration asks for; sharpness_from() may be null.
Optimizer sharpness_from(const Options& options);
std::vector<Optimizer> before_rule_from(const Options& options);  // after clipping
std::vector<Optimizer> after_rate_from(const Options& options);
// The options without SAM, for parts of an optimizer that has it in front of all parts.
Options without_sharpness(Options options);

}  // namespace descent::optim
