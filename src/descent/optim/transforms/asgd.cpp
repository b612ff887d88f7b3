// Averaged stochastic gradient descent.
//
//   eta_t = lr / (1 + lambd lr (t - 1))^alpha
//   theta_t = (1 - lambd eta_t) theta_{t-1} - eta_t g_t
//   average_t = average_{t-1} + (theta_t - average_{t-1}) / max(1, t - 1 - t0)
//
// PyTorch's form and defaults; there too a change of lr acts one step later. The average starts
// after t0 steps; it is what is validated and saved. Polyak & Juditsky 1992, "Acceleration of
// stochastic approximation by averaging"; the rate: Bottou 2010, "Large-scale machine learning with
// stochastic gradient descent".
#include <algorithm>
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer averaged_descent(const AsgdOptions& o) {
  require_not_negative("asgd", "lambd", o.lambd);
  require_not_negative("asgd", "alpha", o.alpha);
  require_not_negative("asgd", "t0", o.t0);
  const auto eta = [o, rate = o.lr.schedule()](std::int64_t step) {
    const double lr = rate(std::max<std::int64_t>(step - 1, 0));
    return lr / std::pow(1 + o.lambd * lr * static_cast<double>(step), o.alpha);
  };
  Rule rule{.name = "asgd", .slots = {{"average"}}, .averaged = 0};
  const auto mu = [t0 = o.t0](std::int64_t step) {
    return 1 / std::max(1.0, static_cast<double>(step) - t0);
  };
  rule.scalars = {{"minus_eta", [eta](std::int64_t step) { return -eta(step); }},
                  {"mu", mu},
                  {"kept", [mu](std::int64_t step) { return 1 - mu(step); }}};
  rule.update = [o](const Item& i) {
    const auto update = i.scalars[0] * (o.lambd * i.parameter + i.gradient);
    auto& average = i.state[0];
    average = average * i.scalars[2] + (i.parameter + update) * i.scalars[1];
    return update;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer asgd(const AsgdOptions& o) {
  return around(averaged_descent(o),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

void register_asgd(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "asgd",
       .help = "stochastic gradient descent whose average is the result (Polyak & Juditsky 1992)",
       .lr = 1e-2,
       .options = {number_option("lambd", 1e-4, "how fast the rate falls, and a decay of weights"),
                   number_option("alpha", 0.75, "power with which the rate falls"),
                   number_option("t0", 1e6, "steps before the average begins")},
       .whole = [](const Options& o, const Schedule& rate) {
         return averaged_descent({.lr = rate,
                                  .lambd = o.number("lambd"),
                                  .alpha = o.number("alpha"),
                                  .t0 = o.number("t0")});
       }});
}

}  // namespace descent::optim
