// RMSprop: gradients divided by a running root mean square.
//
//   v_t = alpha v_{t-1} + (1 - alpha) g_t^2
//   centered: a_t = alpha a_{t-1} + (1 - alpha) g_t, and v_t - a_t^2 stands for v_t below
//   direction: g_t / (sqrt(v_t) + eps), through momentum (b_t = momentum b_{t-1} + direction)
//
// PyTorch's form and defaults (lr .01, alpha .99, eps 1e-8 outside the root; Keras .001, .9, 1e-7
// inside). A variance that rounding makes negative counts as 0, where PyTorch gives NaN.
// Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013, arXiv 1308.0850.
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
    if (!o.centered) return g / (sqrt(v) + o.eps);
    auto& a = i.state[1];
    a = o.alpha * a + (1 - o.alpha) * g;
    return g / (sqrt(maximum(v - square(a), 0.0)) + o.eps);
  };
  return per_parameter(std::move(rule));
}

namespace {
Optimizer rms_with_momentum(const RmsScale& scale, double momentum) {
  if (momentum == 0) return scale_by_rms(scale);
  return chain({scale_by_rms(scale), trace({.momentum = momentum})});
}
}  // namespace

Optimizer rmsprop(const RmspropOptions& o) {
  return around(rms_with_momentum({o.alpha, o.eps, o.centered}, o.momentum),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_rmsprop(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "rmsprop",
       .help = "gradients divided by their running root mean square (Tieleman & Hinton 2012)",
       .lr = 1e-2,
       .options = {number_option("alpha", 0.99, "decay of the mean square", 0, 1),
                   number_option("eps", 1e-8, "added to the root of the mean square"),
                   boolean_option("centered", "divide by the standard deviation instead"),
                   number_option("momentum", 0, "part of the last direction that is kept")},
       .rule = [](const Options& o) {
         return rms_with_momentum({.alpha = o.number("alpha"),
                                   .eps = o.number("eps"),
                                   .centered = o.boolean("centered")},
                                  o.number("momentum"));
       }});
}

}  // namespace descent::optim
