// Nesterov's accelerated gradient in the look-ahead form.
//
//   y_t = theta_t + mu_t v_t                          the gradient g_t is taken here
//   v_{t+1} = mu_t v_t - lr g_t,  theta_{t+1} = theta_t + v_{t+1}
//
// The parameters that are held are the look-ahead points y_t, at which the gradient is known, so
// that the update is mu_{t+1} v_{t+1} - lr g_t. mu_t is `momentum`, or with `convex` t / (t + 3)
// (t from 0), whose error falls as 1 / t^2 on convex functions of Lipschitz gradient with lr at
// most one over that constant. sgd with nesterov and convention = paper has the same for constant
// mu_t. Nesterov 1983, "A method of solving a convex programming problem with convergence rate
// O(1/k^2)"; Sutskever et al. 2013; t / (t + 3): Su, Boyd & Candes 2016.
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer look_ahead_steps(const NesterovOptions& o) {
  require_fraction("nesterov", "momentum", o.momentum);
  const auto mu = [o](std::int64_t step) {
    const auto t = static_cast<double>(step);
    return o.convex ? t / (t + 3) : o.momentum;
  };
  Rule rule{.name = "nesterov", .slots = {{"v"}}};
  rule.scalars = {{"minus_lr", [rate = o.lr.schedule()](std::int64_t s) { return -rate(s); }},
                  {"mu", mu},
                  {"next_mu", [mu](std::int64_t s) { return mu(s + 1); }}};
  rule.update = [](const Item& i) {
    auto& v = i.state[0];
    const auto step = i.scalars[0] * i.gradient;
    v = i.scalars[1] * v + step;
    return i.scalars[2] * v + step;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer nesterov(const NesterovOptions& o) {
  return around(look_ahead_steps(o),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

void register_nesterov(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "nesterov",
       .help = "accelerated gradient, taken at the look-ahead point (Nesterov 1983; Sutskever et "
               "al. 2013)",
       .lr = 1e-2,
       .options = {number_option("momentum", 0.9, "part of the velocity that is kept", 0, 1),
                   boolean_option("convex",
                                  "momentum t / (t + 3) at step t instead: for convex functions")},
       .whole = [](const Options& o, const Schedule& rate) {
         return look_ahead_steps(
             {.lr = rate, .momentum = o.number("momentum"), .convex = o.boolean("convex")});
       }});
}

}  // namespace descent::optim
