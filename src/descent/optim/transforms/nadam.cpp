// NAdam: Adam with Nesterov's momentum.
//
//   mu_t = b1 (1 - .96^(t momentum_decay) / 2)
//   m_t = b1 m_{t-1} + (1 - b1) g_t,  v_t = b2 v_{t-1} + (1 - b2) g_t^2
//   direction: (mu_{t+1} m_t / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g_t / (1 - mu_1 ... mu_t))
//              / (sqrt(v_t / (1 - b2^t)) + eps)
//
// PyTorch's form and defaults. convention = keras: momentum_decay 1, eps 1e-7, weight decay
// decoupled (its lr of .001 is left to the user). convention = paper: mu_t = b1, without a
// schedule, as in Dozat's derivation and in optax. Dozat 2016, "Incorporating Nesterov momentum
// into Adam".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// mu_t = b1 (1 - weight .96^(t decay)), t from 1.
struct Momentum {
  double b1, weight, decay;

  double at(std::int64_t t) const {
    return b1 * (1 - weight * std::pow(0.96, static_cast<double>(t) * decay));
  }
  // mu_1 ... mu_t. Below 1e-18 it changes 1 - product no more, so that the loop stays short.
  double product(std::int64_t t) const {
    double result = 1;
    for (std::int64_t k = 1; k <= t && result > 1e-18; ++k) result *= at(k);
    return result;
  }
};

Optimizer scale_by_nadam(const NadamOptions& o) {
  require_fraction("nadam", "beta1", o.b1);
  require_fraction("nadam", "beta2", o.b2);
  require_not_negative("nadam", "eps", o.eps);
  require_not_negative("nadam", "momentum_decay", o.momentum_decay);
  const Momentum mu{
      .b1 = o.b1, .weight = o.convention == Convention::paper ? 0 : 0.5, .decay = o.momentum_decay};
  Rule rule{.name = "nadam", .slots = {{"m"}, {"v"}}};
  rule.scalars = {
      {"c_gradient", [mu](std::int64_t s) { return (1 - mu.at(s + 1)) / (1 - mu.product(s + 1)); }},
      {"c_mean", [mu](std::int64_t s) { return mu.at(s + 2) / (1 - mu.product(s + 2)); }},
      {"c_root", [o](std::int64_t s) { return 1 / std::sqrt(one_minus_power(o.b2, s + 1)); }},
  };
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto &m = i.state[0], &v = i.state[1];
    m = o.b1 * m + (1 - o.b1) * g;
    v = o.b2 * v + (1 - o.b2) * square(g);
    return (m * i.scalars[1] + g * i.scalars[0]) / (sqrt(v) * i.scalars[2] + o.eps);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer nadam(const NadamOptions& o) {
  const bool decoupled = o.decoupled || o.convention == Convention::keras;
  return around(scale_by_nadam(o), {.lr = o.lr,
                                    .l2 = decoupled ? 0 : o.weight_decay,
                                    .weight_decay = decoupled ? o.weight_decay : 0,
                                    .decayed = o.decayed});
}

void register_nadam(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "nadam",
       .help = "Adam with Nesterov's momentum (Dozat 2016)",
       .lr = 2e-3,
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                   open_option("eps",
                               "added to the corrected root of the mean square; default: 1e-8, "
                               "keras 1e-7"),
                   open_option("momentum_decay",
                               "how fast the momentum rises from beta1 / 2 to beta1; default: "
                               "0.004, keras 1"),
                   boolean_option("decoupled_weight_decay",
                                  "weight_decay is decoupled, as in AdamW"),
                   convention_option({"torch", "keras", "paper"},
                                     "whose defaults; keras: weight_decay decoupled; paper: the "
                                     "momentum is beta1 from the start")},
       .rule = [](const Options& o) {
         const auto convention = convention_of(o);
         const bool keras = convention == Convention::keras;
         return scale_by_nadam({.b1 = o.number("beta1"),
                                .b2 = o.number("beta2"),
                                .eps = number_or(o, "eps", keras ? 1e-7 : 1e-8),
                                .momentum_decay = number_or(o, "momentum_decay", keras ? 1 : 4e-3),
                                .convention = convention});
       }});
}

}  // namespace descent::optim
