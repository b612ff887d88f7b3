// Adan: Nesterov's momentum from the differences of gradients.
//
//   d_t = g_t - g_{t-1},  d_1 = 0
//   m_t = b1 m_{t-1} + (1 - b1) g_t,  v_t = b2 v_{t-1} + (1 - b2) d_t
//   n_t = b3 n_{t-1} + (1 - b3) (g_t + (1 - b2) d_t)^2,  each over 1 - b^t as in Adam:
//   direction: (m_t + (1 - b2) v_t) / (sqrt(n_t + eps_root) + eps)
//
// optax's form and defaults, with b as the part that is kept (the paper writes 1 - b) and decoupled
// weight decay (the authors' program divides by 1 + lr weight_decay instead). Xie et al. 2022,
// "Adan: Adaptive Nesterov momentum algorithm for faster optimizing deep models".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_adan(const AdanOptions& o) {
  require_fraction("adan", "beta1", o.b1);
  require_fraction("adan", "beta2", o.b2);
  require_fraction("adan", "beta3", o.b3);
  require_not_negative("adan", "eps", o.eps);
  require_not_negative("adan", "eps_root", o.eps_root);
  Rule rule{.name = "adan", .slots = {{"m"}, {"v"}, {"n"}, {"minus_gradient"}}};
  rule.scalars = {bias_correction("c1", o.b1),
                  bias_correction("c2", o.b2),
                  bias_correction("c3", o.b3),
                  {"differs", [](std::int64_t step) { return step == 0 ? 0.0 : 1.0; }}};
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto &m = i.state[0], &v = i.state[1], &n = i.state[2], &last = i.state[3];
    // Kept with its sign changed: so it is made in the same pass, where the gradient itself would
    // be copied in one of its own.
    const auto minus_g = -g;
    const auto d = (last - minus_g) * i.scalars[3];
    m = o.b1 * m + (1 - o.b1) * g;
    v = o.b2 * v + (1 - o.b2) * d;
    n = o.b3 * n + (1 - o.b3) * square(g + (1 - o.b2) * d);
    last = minus_g;
    return (m * i.scalars[0] + (1 - o.b2) * (v * i.scalars[1])) /
           (sqrt(n * i.scalars[2] + o.eps_root) + o.eps);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer adan(const AdanOptions& o) {
  return around(scale_by_adan(o),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_adan(OptimizerRegistry& registry) {
  add_optimizer(registry,
                {.name = "adan",
                 .help = "Nesterov's momentum from differences of gradients (Xie et al. 2022)",
                 .decoupled = true,
                 .options = {number_option("beta1", 0.98, "decay of the mean gradient", 0, 1),
                             number_option("beta2", 0.92, "decay of the mean difference", 0, 1),
                             number_option("beta3", 0.99, "decay of the mean square", 0, 1),
                             number_option("eps", 1e-8, "added to the root of the mean square"),
                             number_option("eps_root", 1e-8, "added to the corrected mean square")},
                 .rule = [](const Options& o) {
                   return scale_by_adan({.b1 = o.number("beta1"),
                                         .b2 = o.number("beta2"),
                                         .b3 = o.number("beta3"),
                                         .eps = o.number("eps"),
                                         .eps_root = o.number("eps_root")});
                 }});
}

}  // namespace descent::optim
