// Rprop: a step size for each element, which grows while the gradient keeps its sign.
//
//   step_t = clamp(step_{t-1} * eta, step_min, step_max),  step_0 = lr
//   eta: eta_plus where g_t g_{t-1} > 0, eta_minus where it is < 0 (g_t then counts as 0), else 1
//   update: -step_t sign(g_t)
//
// PyTorch's form (iRprop- of Igel & Huesken 2000): lr is the first step size, and a schedule has no
// effect beyond its first rate. For full batches: on small ones signs change by chance.
// Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning".
#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer resilient_steps(const RpropOptions& o) {
  require_fraction("rprop", "eta_minus", o.eta_minus);
  require_not_negative("rprop", "step_min", o.step_min);
  require_not_negative("rprop", "lr", o.lr);
  if (!(o.eta_plus > 1)) {
    throw Error(ErrorKind::usage, "eta_plus must be greater than 1", "rprop");
  }
  if (!(o.step_max >= o.step_min)) {
    throw Error(ErrorKind::usage, "step_max must be at least step_min", "rprop");
  }
  Rule rule{.name = "rprop", .slots = {{"sign"}, {"step", o.lr}}};
  rule.update = [o](const Item& i) {
    auto &last = i.state[0], &step = i.state[1];
    const auto now = sign(i.gradient);
    const auto s = now * last;  // 1, -1 or 0, so that the sum below is one of its terms
    step = clamp(step * (o.eta_plus * relu(s) + o.eta_minus * relu(-s) + (1.0 - abs(s))),
                 o.step_min, o.step_max);
    last = now * minimum(s + 1.0, 1.0);
    return -(last * step);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer rprop(const RpropOptions& o) {
  return around(resilient_steps(o),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

void register_rprop(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "rprop",
       .help = "a step size for each element, from the signs of gradients; lr is the first, and a "
               "schedule does not act; for full batches (Riedmiller & Braun 1993)",
       .lr = 1e-2,
       .options = {number_option("eta_minus", 0.5, "factor of the step where the sign changes", 0,
                                 1),
                   number_option("eta_plus", 1.2, "factor of the step where the sign stays", 1),
                   number_option("step_min", 1e-6, "smallest step"),
                   number_option("step_max", 50, "largest step")},
       .whole = [](const Options& o, const Schedule& rate) {
         return resilient_steps({.lr = rate(0),
                                 .eta_minus = o.number("eta_minus"),
                                 .eta_plus = o.number("eta_plus"),
                                 .step_min = o.number("step_min"),
                                 .step_max = o.number("step_max")});
       }});
}

}  // namespace descent::optim
