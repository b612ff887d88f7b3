// Yogi: Adam whose mean square falls slowly.
//
//   m_t = b1 m_{t-1} + (1 - b1) g_t
//   v_t = v_{t-1} - (1 - b2) sign(v_{t-1} - g_t^2) g_t^2
//   direction: m_t / (1 - b1^t)  /  (sqrt(v_t / (1 - b2^t)) + eps)
//
// optax's form: m and v both start at initial_accumulator (1e-6), and both are corrected. eps 1e-3
// is the paper's advice, as is lr .01. Zaheer et al. 2018, "Adaptive methods for nonconvex
// optimization".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_yogi(double b1, double b2, double eps, double initial) {
  require_fraction("yogi", "beta1", b1);
  require_fraction("yogi", "beta2", b2);
  require_not_negative("yogi", "eps", eps);
  require_not_negative("yogi", "initial_accumulator", initial);
  Rule rule{.name = "yogi", .slots = {{"m", initial}, {"v", initial}}};
  rule.scalars = {bias_correction("c1", b1), {"c2", [b2](std::int64_t step) {
                                                return 1 / std::sqrt(one_minus_power(b2, step + 1));
                                              }}};
  rule.update = [=](const Item& i) {
    auto &m = i.state[0], &v = i.state[1];
    m = b1 * m + (1 - b1) * i.gradient;
    const auto g2 = square(i.gradient);
    v = v - (1 - b2) * sign(v - g2) * g2;
    return m * i.scalars[0] / (sqrt(v) * i.scalars[1] + eps);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer yogi(const YogiOptions& o) {
  return around(scale_by_yogi(o.b1, o.b2, o.eps, o.initial_accumulator),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_yogi(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "yogi",
       .help = "Adam whose mean square falls slowly (Zaheer et al. 2018)",
       .lr = 1e-2,
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "1 - beta2: rate at which the mean square moves",
                                 0, 1),
                   number_option("eps", 1e-3, "added to the corrected root of the mean square"),
                   number_option("initial_accumulator", 1e-6, "what both means start at")},
       .rule = [](const Options& o) {
         return scale_by_yogi(o.number("beta1"), o.number("beta2"), o.number("eps"),
                              o.number("initial_accumulator"));
       }});
}

}  // namespace descent::optim
