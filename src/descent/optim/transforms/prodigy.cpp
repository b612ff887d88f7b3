// Prodigy: AdamW that estimates the distance D to the solution, and with it its rate.
//
//   s = d lr (with bias_correction: times sqrt(1 - b2^t) / (1 - b1^t)),  d from d0
//   m = b1 m + (1 - b1) d g,   v = b2 v + (1 - b2) (d g)^2
//   r = b3 r + d/d0 s <g, theta_0 - theta>,   q = b3 q + d/d0 s g      (safeguard_warmup: d for s)
//   d <- max(d, d_coef r / |q|_1)
//   theta <- theta - s m / (sqrt(v) + d eps) - s weight_decay theta
//
// The authors' code (prodigyopt) with no bound on the growth of d; optax.contrib.prodigy is the
// same with bias_correction always on. d is one number of all parameters (of each
// [[optimizer.groups]]). Mishchenko & Defazio 2023, "Prodigy: an expeditiously adaptive
// parameter-free learner".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/rate_free.h"

namespace descent::optim {
namespace {

Optimizer scaled(const ProdigyOptions& o) {
  require_fraction("prodigy", "beta1", o.b1);
  require_fraction("prodigy", "beta2", o.b2);
  const double b3 = o.b3.value_or(std::sqrt(o.b2));
  require_fraction("prodigy", "beta3", b3);
  require_not_negative("prodigy", "eps", o.eps);
  require_positive("prodigy", "d0", o.d0);
  require_positive("prodigy", "d_coef", o.d_coef);
  JointRule rule{.name = "prodigy",
                 .slots = {{"m"}, {"v"}, {"q"}, {"start"}},
                 .numbers = {{"d", o.d0}, {"r"}}};
  const auto rate = [o](std::int64_t step) {
    const double lr = o.lr.schedule()(step);
    if (!o.bias_correction) return lr;
    return lr * std::sqrt(one_minus_power(o.b2, step + 1)) / one_minus_power(o.b1, step + 1);
  };
  rule.scalars = {first_step(), {"rate", rate}};
  rule.update = [o, b3](const Joint& j) {
    auto &d_now = j.number(0, 4), &r = j.number(1, 4);
    const Value d = d_now, s = d * j.context.scalars[1];
    const auto m = j.slot(0), v = j.slot(1), q = j.slot(2), start = j.slot(3);
    const auto weight = (1 / o.d0) * d * (o.safeguard_warmup ? d : s);
    Value along, length;
    for (std::size_t i = 0; i < j.count(); ++i) {
      const auto &g = j.updates[i], &p = j.parameter(i);
      start[i] = select(j.context.scalars[0], p, start[i]);
      const auto dg = d * g;
      m[i] = o.b1 * m[i] + (1 - o.b1) * dg;
      v[i] = o.b2 * v[i] + (1 - o.b2) * square(dg);
      q[i] = b3 * q[i] + weight * g;
      const auto a = dot(g, start[i] - p), l = sum(abs(q[i]));
      along = along ? along + a : a;
      length = length ? length + l : l;
    }
    r = b3 * r + (1 / o.d0) * d * s * along;
    // A gradient or a rate of 0 so far says nothing of the distance.
    d_now = select(length, maximum(d, o.d_coef * r / maximum(length, 1e-30)), d);
    for (std::size_t i = 0; i < j.count(); ++i) {
      const auto step = s * m[i] / (sqrt(v[i]) + d_now * o.eps);
      const bool decays = o.weight_decay != 0 && j.decays(i, o.decayed);
      j.updates[i] = decays ? -step - s * o.weight_decay * j.parameter(i) : -step;
    }
  };
  return joint(std::move(rule));
}

}  // namespace

Optimizer prodigy(const ProdigyOptions& o) { return around(scaled(o), {.whole = true}); }

void register_prodigy(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "prodigy",
       .help = "AdamW that finds its rate; lr is a factor, to be left at 1 (Mishchenko & Defazio "
               "2023)",
       .lr = 1.0,
       .decoupled = true,
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                   {.key = "beta3",
                    .type = OptionType::number,
                    .help = "decay of the sums that estimate the distance; default: sqrt(beta2)",
                    .min = 0,
                    .max = 1},
                   number_option("eps", 1e-8, "added to the root of the mean square, times d"),
                   number_option("d0", 1e-6, "first estimate of the distance"),
                   number_option("d_coef", 1, "factor of later estimates"),
                   boolean_option("bias_correction", "Adam's, as a factor of the rate"),
                   boolean_option("safeguard_warmup",
                                  "leave the rate out of the estimate's denominator: for a long "
                                  "warm-up")},
       .rule = {},
       .whole = [](const Options& o, const Schedule& rate) {
         ProdigyOptions p{.lr = rate,
                          .b1 = o.number("beta1"),
                          .b2 = o.number("beta2"),
                          .eps = o.number("eps"),
                          .d0 = o.number("d0"),
                          .d_coef = o.number("d_coef"),
                          .bias_correction = o.boolean("bias_correction"),
                          .safeguard_warmup = o.boolean("safeguard_warmup"),
                          .weight_decay = o.number("weight_decay"),
                          .decayed = decayed_by(o)};
         if (o.has("beta3")) p.b3 = o.number("beta3");
         return scaled(p);
       }});
}

}  // namespace descent::optim
