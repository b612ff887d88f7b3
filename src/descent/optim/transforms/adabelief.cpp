// AdaBelief: Adam over the gradient's deviation from its mean instead of its size.
//
//   m_t = b1 m_{t-1} + (1 - b1) g_t
//   s_t = b2 s_{t-1} + (1 - b2) (g_t - m_t)^2 + eps_root
//   direction: m_t / (1 - b1^t)  /  (sqrt(s_t / (1 - b2^t)) + eps)
//
// optax's form and defaults, which is the paper's with its eps in two parts. Weight decay is
// decoupled, as in the authors' program. Zhuang et al. 2020, "AdaBelief optimizer: adapting
// stepsizes by the belief in observed gradients".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_belief(double b1, double b2, double eps, double eps_root) {
  require_fraction("adabelief", "beta1", b1);
  require_fraction("adabelief", "beta2", b2);
  require_not_negative("adabelief", "eps", eps);
  require_not_negative("adabelief", "eps_root", eps_root);
  Rule rule{.name = "adabelief", .slots = {{"m"}, {"s"}}};
  rule.scalars = {bias_correction("c1", b1), {"c2", [b2](std::int64_t step) {
                                                return 1 / std::sqrt(one_minus_power(b2, step + 1));
                                              }}};
  rule.update = [=](const Item& i) {
    const auto& g = i.gradient;
    auto &m = i.state[0], &s = i.state[1];
    m = b1 * m + (1 - b1) * g;
    s = b2 * s + (1 - b2) * square(g - m) + eps_root;
    return m * i.scalars[0] / (sqrt(s) * i.scalars[1] + eps);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer adabelief(const AdabeliefOptions& o) {
  return around(scale_by_belief(o.b1, o.b2, o.eps, o.eps_root),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_adabelief(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "adabelief",
       .help = "the mean gradient over the deviation from it (Zhuang et al. 2020)",
       .decoupled = true,
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "decay of the mean squared deviation", 0, 1),
                   number_option("eps", 1e-16, "added to the corrected root"),
                   number_option("eps_root", 1e-16,
                                 "added to the mean squared deviation at each step")},
       .rule = [](const Options& o) {
         return scale_by_belief(o.number("beta1"), o.number("beta2"), o.number("eps"),
                                o.number("eps_root"));
       }});
}

}  // namespace descent::optim
