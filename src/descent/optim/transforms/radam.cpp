// RAdam: Adam that goes without its denominator until that can be trusted.
//
//   m_t, v_t as in Adam;  rho = 2 / (1 - b2) - 1,  rho_t = rho - 2 t b2^t / (1 - b2^t)
//   rho_t > 5:  direction m_t / (1 - b1^t)  r_t sqrt(1 - b2^t) / (sqrt(v_t) + eps),
//               r_t^2 = (rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t)
//   otherwise:  direction m_t / (1 - b1^t)
//
// PyTorch's form: eps is added to the uncorrected root. Liu et al. 2020, "On the variance of the
// adaptive learning rate and beyond".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// r_t sqrt(1 - b2^t); 0 where the denominator is left out.
double rectification(double b2, std::int64_t t) {
  const double steps = static_cast<double>(t), correction = one_minus_power(b2, t);
  const double limit = 2 / (1 - b2) - 1;
  const double length = limit - 2 * steps * std::pow(b2, steps) / correction;
  if (length <= 5) return 0;
  return std::sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length) *
                   correction);
}

Optimizer scale_by_radam(double b1, double b2, double eps) {
  require_fraction("radam", "beta1", b1);
  require_fraction("radam", "beta2", b2);
  require_positive("radam", "eps", eps);  // the root is computed at every step, and may be 0
  Rule rule{.name = "radam", .slots = {{"m"}, {"v"}}};
  // One of the two is 0 at each step, so that one program does both cases.
  rule.scalars = {{"plain",
                   [=](std::int64_t s) {
                     return rectification(b2, s + 1) == 0 ? 1 / one_minus_power(b1, s + 1) : 0;
                   }},
                  {"rectified", [=](std::int64_t s) {
                     return rectification(b2, s + 1) / one_minus_power(b1, s + 1);
                   }}};
  rule.update = [=](const Item& i) {
    auto &m = i.state[0], &v = i.state[1];
    m = b1 * m + (1 - b1) * i.gradient;
    v = b2 * v + (1 - b2) * square(i.gradient);
    return m * (i.scalars[0] + i.scalars[1] / (sqrt(v) + eps));
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer radam(const RadamOptions& o) {
  return around(scale_by_radam(o.b1, o.b2, o.eps),
                {.lr = o.lr,
                 .l2 = o.decoupled ? 0 : o.weight_decay,
                 .weight_decay = o.decoupled ? o.weight_decay : 0,
                 .decayed = o.decayed});
}

void register_radam(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "radam",
       .help = "Adam without its denominator until that can be trusted (Liu et al. 2020)",
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                   number_option("eps", 1e-8, "added to the uncorrected root of the mean square"),
                   boolean_option("decoupled_weight_decay",
                                  "weight_decay is decoupled, as in AdamW")},
       .rule = [](const Options& o) {
         return scale_by_radam(o.number("beta1"), o.number("beta2"), o.number("eps"));
       }});
}

}  // namespace descent::optim
