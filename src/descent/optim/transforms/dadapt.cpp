// D-Adaptation for Adam: AdamW that estimates the distance D to the solution, and with it its rate.
//
//   s = d lr (with bias_correction: times sqrt(1 - b2^t) / (1 - b1^t)),  d from d0,  b = sqrt(b2)
//   a = <g, q / (sqrt(v) + eps)>                            with q and v before this step
//   m = b1 m + (1 - b1) s g,   v = b2 v + (1 - b2) g^2
//   q = b q + (1 - b) s g,     r = b r + (1 - b) s a
//   d <- max(d, r / ((1 - b) |q|_1))
//   theta <- theta - m / (sqrt(v) + eps) - s weight_decay theta
//
// The authors' code (dadaptation) with no bound on the growth of d; optax.contrib.dadapt_adamw is
// the same with bias_correction always on. d is one number of all parameters (of each
// [[optimizer.groups]]). Defazio & Mishchenko 2023, "Learning-rate-free learning by D-Adaptation".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/rate_free.h"

namespace descent::optim {
namespace {

Optimizer scaled(const DadaptAdamOptions& o) {
  require_fraction("dadapt_adam", "beta1", o.b1);
  require_fraction("dadapt_adam", "beta2", o.b2);
  require_positive("dadapt_adam", "eps", o.eps);
  require_positive("dadapt_adam", "d0", o.d0);
  JointRule rule{.name = "dadapt", .slots = {{"m"}, {"v"}, {"q"}}, .numbers = {{"d", o.d0}, {"r"}}};
  rule.scalars = {{"rate", [o](std::int64_t step) {
                     const double lr = o.lr.schedule()(step);
                     if (!o.bias_correction) return lr;
                     return lr * std::sqrt(one_minus_power(o.b2, step + 1)) /
                            one_minus_power(o.b1, step + 1);
                   }}};
  rule.update = [o](const Joint& j) {
    auto &d = j.number(0, 3), &r = j.number(1, 3);
    const auto s = d * j.context.scalars[0];
    const auto m = j.slot(0), v = j.slot(1), q = j.slot(2);
    const double b = std::sqrt(o.b2);
    Value along, length;
    for (std::size_t i = 0; i < j.count(); ++i) {
      const auto& g = j.updates[i];
      const auto a = dot(g, q[i] / (sqrt(v[i]) + o.eps));
      m[i] = o.b1 * m[i] + (1 - o.b1) * s * g;
      v[i] = o.b2 * v[i] + (1 - o.b2) * square(g);
      q[i] = b * q[i] + (1 - b) * s * g;
      const auto l = sum(abs(q[i]));
      along = along ? along + a : a;
      length = length ? length + l : l;
    }
    r = b * r + (1 - b) * s * along;
    // A gradient or a rate of 0 so far says nothing of the distance.
    d = select(length, maximum(d, r / maximum((1 - b) * length, 1e-30)), d);
    for (std::size_t i = 0; i < j.count(); ++i) {
      const auto step = m[i] / (sqrt(v[i]) + o.eps);
      const bool decays = o.weight_decay != 0 && j.decays(i, o.decayed);
      j.updates[i] = decays ? -step - s * o.weight_decay * j.parameter(i) : -step;
    }
  };
  return joint(std::move(rule));
}

}  // namespace

Optimizer dadapt_adam(const DadaptAdamOptions& o) { return around(scaled(o), {.whole = true}); }

void register_dadapt(OptimizerRegistry& registry) {
  add_optimizer(registry,
                {.name = "dadapt_adam",
                 .help = "AdamW that finds its rate; lr is a factor, to be left at 1 (Defazio & "
                         "Mishchenko 2023)",
                 .lr = 1.0,
                 .decoupled = true,
                 .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                             number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                             number_option("eps", 1e-8, "added to the root of the mean square"),
                             number_option("d0", 1e-6, "first estimate of the distance"),
                             boolean_option("bias_correction", "Adam's, as a factor of the rate")},
                 .rule = {},
                 .whole = [](const Options& o, const Schedule& rate) {
                   return scaled({.lr = rate,
                                  .b1 = o.number("beta1"),
                                  .b2 = o.number("beta2"),
                                  .eps = o.number("eps"),
                                  .d0 = o.number("d0"),
                                  .bias_correction = o.boolean("bias_correction"),
                                  .weight_decay = o.number("weight_decay"),
                                  .decayed = decayed_by(o)});
                 }});
}

}  // namespace descent::optim
