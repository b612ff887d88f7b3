// FTRL-proximal: follow the regularised leader, with a rate for each element; its L1 gives zeros.
//
//   n_t = n_{t-1} + g_t^2,  z_t = z_{t-1} + lr g_t - (sqrt(n_t) - sqrt(n_{t-1})) theta_{t-1}
//   theta_t = 0 where |z_t| <= alpha l1,
//             else -(z_t - sign(z_t) alpha l1) / (beta + sqrt(n_t) + alpha l2)
//
// The paper's form times its rate alpha = lr, so that a schedule weights gradients and a rate of 0
// does no harm; n_0 = initial_accumulator. z_0 is such that theta_0 follows from it (the paper
// starts at 0). l1 and l2 stand here, not at the gradient, and leave biases and normalisation
// parameters alone unless decay_all is set. McMahan et al. 2013, "Ad click prediction: a view from
// the trenches".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer follow_the_leader(const FtrlOptions& o) {
  require_not_negative("ftrl", "beta", o.beta);
  require_not_negative("ftrl", "initial_accumulator", o.initial_accumulator);
  require_not_negative("ftrl", "l1", o.l1);
  require_not_negative("ftrl", "l2", o.l2);
  const auto rate = o.lr.schedule();
  const double alpha = o.alpha ? *o.alpha : rate(0);
  Rule rule{.name = "ftrl", .slots = {{"z"}, {"n", o.initial_accumulator}}};
  rule.scalars = {{"lr", rate}, {"first", [](std::int64_t step) { return step == 0 ? 1.0 : 0.0; }}};
  rule.update = [o, alpha](const Item& i) {
    const bool applies = i.info.decay || o.decayed == every_parameter;
    const double l1 = applies ? alpha * o.l1 : 0, l2 = applies ? alpha * o.l2 : 0;
    const auto &g = i.gradient, &theta = i.parameter;
    auto &z = i.state[0], &n = i.state[1];
    const auto before = sqrt(n);
    n = n + square(g);
    const auto root = sqrt(n);
    z = z - i.scalars[1] * (theta * (before + o.beta));
    z = z + i.scalars[0] * g - (root - before) * theta;
    // 1e-30: an element that has seen no gradient stays, without a division of 0 by 0.
    const auto size = maximum(root + (o.beta + l2), 1e-30);
    const auto next = -(sign(z) * relu(abs(z) - l1)) / size;
    return next - theta;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer ftrl(const FtrlOptions& o) {
  return around(follow_the_leader(o),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

void register_ftrl(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "ftrl",
       .help = "follow the regularised leader; l1 makes weights exactly 0 (McMahan et al. 2013)",
       .lr = 0.1,
       .options = {number_option("beta", 1, "added to the root of the sum of squared gradients"),
                   number_option("initial_accumulator", 0, "what the sum of squares starts at"),
                   number_option("l1", 0, "penalty l1 * |parameter|_1 of the closed form"),
                   number_option("l2", 0, "penalty l2 / 2 * |parameter|^2 of the closed form")},
       .whole = [](const Options& o, const Schedule& rate) {
         return follow_the_leader({.lr = rate,
                                   .beta = o.number("beta"),
                                   .initial_accumulator = o.number("initial_accumulator"),
                                   .l1 = o.number("l1"),
                                   .l2 = o.number("l2"),
                                   .alpha = o.number("lr"),
                                   .decayed = decayed_by(o)});
       }});
}

}  // namespace descent::optim
