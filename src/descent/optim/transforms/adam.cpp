// Adam and AdamW.
//
//   m_t = b1 m_{t-1} + (1 - b1) g_t
//   v_t = b2 v_{t-1} + (1 - b2) g_t^2          amsgrad: the largest v so far stands for v_t below
//   direction: m_t / (1 - b1^t)  /  (sqrt(v_t / (1 - b2^t)) + eps)
//
// PyTorch's form: eps is added to the corrected root (Keras: to the uncorrected, "epsilon hat"),
// amsgrad takes the largest uncorrected v. adam couples weight decay into the gradient; adamw adds
// weight_decay * parameter to the direction, so that parameters shrink by lr * weight_decay.
// Kingma & Ba 2015, "Adam"; Loshchilov & Hutter 2019, "Decoupled weight decay regularization";
// Reddi, Kale & Kumar 2018, "On the convergence of Adam and beyond".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/joint.h"

namespace descent::optim {
Optimizer scale_by_adam(AdamScale o) {
  require_fraction("adam", "beta1", o.b1);
  require_fraction("adam", "beta2", o.b2);
  require_not_negative("adam", "eps", o.eps);
  Rule rule{.name = "adam", .slots = {{"m"}, {"v"}}};
  if (o.amsgrad) rule.slots.push_back({"v_max"});
  rule.scalars = {
      {"c1", [o](std::int64_t step) { return 1 / one_minus_power(o.b1, step + 1); }},
      {"c2", [o](std::int64_t step) { return 1 / std::sqrt(one_minus_power(o.b2, step + 1)); }},
  };
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto &m = i.state[0], &v = i.state[1];
    m = o.b1 * m + (1 - o.b1) * g;
    v = o.b2 * v + (1 - o.b2) * square(g);
    if (o.amsgrad) i.state[2] = maximum(i.state[2], v);
    const auto& second = o.amsgrad ? i.state[2] : v;
    return m * i.scalars[0] / (sqrt(second) * i.scalars[1] + o.eps);
  };
  return per_parameter(std::move(rule));
}

Optimizer adam(const AdamOptions& o) {
  return around(scale_by_adam({o.b1, o.b2, o.eps, o.amsgrad}),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

Optimizer adamw(const AdamwOptions& o) {
  return around(scale_by_adam({o.b1, o.b2, o.eps, o.amsgrad}),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_adam(OptimizerRegistry& registry) {
  OptimizerRow row{
      .name = "adam",
      .help = "steps of the mean gradient over its root mean square (Kingma & Ba 2015)",
      .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                  number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                  number_option("eps", 1e-8, "added to the corrected root of the mean square"),
                  boolean_option("amsgrad",
                                 "divide by the largest mean square so far (Reddi et al. 2018)")},
      .rule = [](const Options& o) {
        return scale_by_adam({.b1 = o.number("beta1"),
                              .b2 = o.number("beta2"),
                              .eps = o.number("eps"),
                              .amsgrad = o.boolean("amsgrad")});
      }};
  add_optimizer(registry, row);
  row.name = "adamw";
  row.help = "Adam with decoupled weight decay (Loshchilov & Hutter 2019)";
  row.weight_decay = 0.01;
  row.decoupled = true;
  add_optimizer(registry, row);
}

}  // namespace descent::optim
