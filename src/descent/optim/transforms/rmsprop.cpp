// RMSprop: gradients divided by a running root mean square.
//
//   v_t = alpha v_{t-1} + (1 - alpha) g_t^2
//   centered: a_t = alpha a_{t-1} + (1 - alpha) g_t, and v_t - a_t^2 stands for v_t below
//   direction: g_t / (sqrt(v_t) + eps), through momentum (b_t = momentum b_{t-1} + direction)
//
// PyTorch's form and defaults (lr .01, alpha .99, eps 1e-8 outside the root). A variance that
// rounding makes negative counts as 0, where PyTorch gives NaN.
// convention = keras: g_t / sqrt(v_t + eps), alpha .9, eps 1e-7; the momentum is of updates, with
// the rate in them (b_t = momentum b_{t-1} - lr direction); weight decay is decoupled. Its lr is
// .001, which is left to the user. Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013,
// arXiv 1308.0850.
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer scale_by_rms(RmsScale o) {
  require_fraction("rmsprop", "alpha", o.alpha);
  require_not_negative("rmsprop", "eps", o.eps);
  Rule rule{.name = "rms", .slots = {{"v"}}};
  if (o.centered) rule.slots.push_back({"mean"});
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto& v = i.state[0];
    v = o.alpha * v + (1 - o.alpha) * square(g);
    auto variance = v;
    if (o.centered) {
      auto& a = i.state[1];
      a = o.alpha * a + (1 - o.alpha) * g;
      variance = maximum(v - square(a), 0.0);
    }
    if (o.convention == Convention::keras) return g / sqrt(variance + o.eps);
    return g / (sqrt(variance) + o.eps);
  };
  return per_parameter(std::move(rule));
}

namespace {

Optimizer rms_with_momentum(const RmspropOptions& o) {
  auto rms = scale_by_rms({o.alpha, o.eps, o.centered, o.convention});
  if (o.momentum == 0) return rms;
  return chain({std::move(rms), trace({.momentum = o.momentum})});
}

// Keras's momentum; null where there is none to speak of.
Optimizer keras_rms(const RmspropOptions& o) {
  if (o.convention != Convention::keras || o.momentum == 0) return nullptr;
  return chain({scale_by_rms({o.alpha, o.eps, o.centered, o.convention}), scale_by_schedule(o.lr),
                trace({.momentum = o.momentum}), decay_by_rate(o.lr, o.weight_decay, o.decayed)});
}

RmspropOptions options_from(const Options& o, const Rate& rate) {
  const auto convention = convention_of(o);
  const bool keras = convention == Convention::keras;
  return {.lr = rate,
          .alpha = number_or(o, "alpha", keras ? 0.9 : 0.99),
          .eps = number_or(o, "eps", keras ? 1e-7 : 1e-8),
          .centered = o.boolean("centered"),
          .momentum = o.number("momentum"),
          .weight_decay = o.number("weight_decay"),
          .decayed = decayed_by(o),
          .convention = convention};
}

}  // namespace

Optimizer rmsprop(const RmspropOptions& o) {
  const auto whole = keras_rms(o);
  const bool decoupled = o.convention == Convention::keras;
  return around(whole ? whole : rms_with_momentum(o),
                {.lr = o.lr,
                 .l2 = decoupled ? 0 : o.weight_decay,
                 .weight_decay = decoupled ? o.weight_decay : 0,
                 .decayed = o.decayed,
                 .whole = static_cast<bool>(whole)});
}

void register_rmsprop(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "rmsprop",
       .help = "gradients divided by their running root mean square (Tieleman & Hinton 2012)",
       .lr = 1e-2,
       .options = {open_option("alpha", "decay of the mean square; default: 0.99, keras 0.9", 1),
                   open_option("eps",
                               "added to the root of the mean square, or (keras) to the mean "
                               "square; default: 1e-8, keras 1e-7"),
                   boolean_option("centered", "divide by the standard deviation instead"),
                   number_option("momentum", 0, "part of the last direction that is kept"),
                   convention_option({"torch", "keras"},
                                     "keras: eps inside the root, the rate inside the momentum, "
                                     "weight_decay decoupled")},
       .rule = [](const Options& o) { return rms_with_momentum(options_from(o, 1.0)); },
       .whole = [](const Options& o,
                   const Schedule& rate) { return keras_rms(options_from(o, rate)); }});
}

}  // namespace descent::optim
