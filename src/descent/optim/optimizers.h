// Optimizers, and the gradient transformations they are chains of, for use from C++:
//
//   auto opt = adamw({.lr = cosine(3e-4, steps), .weight_decay = 0.1});
//   auto same = chain({scale_by_adam(), decayed_weights(0.1), scale_by_schedule(cosine(3e-4,
//   steps))});
//
// Formulas, conventions and sources stand in the file of each (transforms/*.cpp); defaults are
// PyTorch's but for one thing: weight decay leaves biases and normalisation parameters alone
// (Parameter::decay == false) unless told otherwise.
//
// Order of a chain, first to last: clip the gradient, add coupled penalties to it, the rule,
// decoupled decay, times minus the learning rate. Clipping sees the gradient of the data alone;
// coupled decay passes through the rule (and its moments), decoupled decay does not.
#pragma once
#include "descent/optim/schedule.h"
#include "descent/optim/transform.h"

namespace descent::optim {

// ---- optimizers ----

// Which parameters weight decay and penalties apply to.
enum Decayed { except_bias_and_norm, every_parameter };

// Whose arithmetic, where the same name means different things; the file of each optimizer says how
// they differ. Defaults stay PyTorch's here; the option `convention` of a configuration changes
// them too, and Keras's weight decay is decoupled.
enum class Convention { torch, keras, paper };

struct SgdOptions {
  Rate lr = 1e-3;
  double momentum = 0, dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;  // coupled: added to the gradient
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
};
Optimizer sgd(const SgdOptions& options = {});

struct AdamOptions {
  Rate lr = 1e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  bool amsgrad = false;
  double weight_decay = 0;  // coupled: added to the gradient
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
};
Optimizer adam(const AdamOptions& options = {});

struct AdamwOptions {
  Rate lr = 1e-3;
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  bool amsgrad = false;
  double weight_decay = 0.01;  // decoupled: parameters shrink by lr * weight_decay
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
  Schedule multiplier = {};  // paper: of weight_decay, in the place of lr; null: 1
};
Optimizer adamw(const AdamwOptions& options = {});

struct AdagradOptions {
  Rate lr = 1e-2;
  double lr_decay = 0, initial_accumulator = 0, eps = 1e-10;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
};
Optimizer adagrad(const AdagradOptions& options = {});

struct RmspropOptions {
  Rate lr = 1e-2;
  double alpha = 0.99, eps = 1e-8;
  bool centered = false;
  double momentum = 0;
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
  Convention convention = Convention::torch;
};
Optimizer rmsprop(const RmspropOptions& options = {});

enum class Graft { none, sgd, adagrad };
struct ShampooScale {
  double beta2 = 1, eps = 1e-6, momentum = 0;  // beta2 = 1: sums
  std::int64_t refresh = 10, max_dim = 512;
  Graft graft = Graft::none;
};
struct ShampooOptions {
  Rate lr = 0.02;
  ShampooScale scale = {};
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer shampoo(const ShampooOptions& options = {});

struct SoapScale {
  double b1 = 0.95, b2 = 0.95, eps = 1e-8;
  std::int64_t refresh = 10, max_dim = 1024;
};
struct SoapOptions {
  Rate lr = 3e-3;
  SoapScale scale = {};
  double weight_decay = 0.01;  // decoupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer soap(const SoapOptions& options = {});

struct KfacScale {
  double damping = 1e-3, decay = 0.95, momentum = 0.9, kl_clip = 1e-3;  // kl_clip = 0: off
  std::int64_t refresh = 10, observe = 1, max_dim = 1024;
  bool sampled = true;  // the Fisher matrix; false: the empirical one
};
struct KfacOptions {
  Rate lr = 0.1;
  KfacScale scale = {};
  double weight_decay = 0;  // coupled
  Decayed decayed = except_bias_and_norm;
};
Optimizer kfac(const KfacOptions& options = {});

// ---- pieces ----

// All gradients times min(1, max_norm / (norm + 1e-6)); norm: Euclidean, of all parameters
// together.
Optimizer clip_by_global_norm(double max_norm);
// Each element into [-max_value, max_value].
Optimizer clip_by_value(double max_value);
// Each parameter's gradient times max_norm / max(norm, max_norm), norm: its own (Keras clipnorm).
Optimizer clip_each(double max_norm);
// Adaptive gradient clipping (Brock et al. 2021): the gradient of each unit (a row of a matrix, a
// filter; a vector as a whole) to at most `ratio` times the norm of its weights, which count for at
// least `eps`.
Optimizer clip_adaptive(double ratio, double eps = 1e-3);
// All gradients together to the norm that `percent` of the last `window` norms, this one among
// them, do not exceed (AutoClip, Seetharaman et al. 2020).
Optimizer clip_by_percentile(double percent, std::int64_t window = 1000);

// gradient + rate * sign(parameter): the penalty rate * |parameter|_1.
Optimizer l1_penalty(double rate, Decayed decayed = except_bias_and_norm);
// gradient + rate * parameter: the penalty rate / 2 * |parameter|^2 (what PyTorch's SGD and Adam
// call weight_decay). Stands before the rule.
Optimizer l2_penalty(double rate, Decayed decayed = except_bias_and_norm);
// The same arithmetic as l2_penalty(), standing between the rule and the learning rate: decoupled
// decay (Loshchilov & Hutter 2019).
Optimizer decayed_weights(double rate, Decayed decayed = except_bias_and_norm);

struct TraceOptions {
  double momentum = 0.9, dampening = 0;
  bool nesterov = false;
};
// Momentum as PyTorch has it; see transforms/sgd.cpp.
Optimizer trace(TraceOptions options = {});

struct AdamScale {
  double b1 = 0.9, b2 = 0.999, eps = 1e-8;
  bool amsgrad = false;
  Convention convention = Convention::torch;
};
Optimizer scale_by_adam(AdamScale options = {});

struct AdagradScale {
  double lr_decay = 0, initial_accumulator = 0, eps = 1e-10;
  Convention convention = Convention::torch;
};
Optimizer scale_by_adagrad(AdagradScale options = {});

struct RmsScale {
  double alpha = 0.99, eps = 1e-8;
  bool centered = false;
  Convention convention = Convention::torch;
};
Optimizer scale_by_rms(RmsScale options = {});

// See transforms/shampoo.cpp and transforms/soap.cpp.
Optimizer scale_by_shampoo(ShampooScale options = {});
Optimizer scale_by_soap(SoapScale options = {});
// See transforms/kfac.cpp; without the momentum. `rate`: that of the steps, for kl_clip.
Optimizer scale_by_kfac(KfacScale options, const Rate& rate);

// Times a fixed factor.
Optimizer scale(double factor);
// Times -schedule(step): turns a direction of ascent into an update. Ends a chain.
Optimizer scale_by_schedule(const Rate& schedule);

}  // namespace descent::optim
