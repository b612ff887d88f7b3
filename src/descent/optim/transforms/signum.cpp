// signSGD and Signum: the sign of the gradient, or of its running mean.
//
//   m_t = momentum m_{t-1} + (1 - momentum) g_t;  direction: sign(m_t)
//
// The paper's form, with its decoupled weight decay; momentum 0 is signSGD. The sign of 0 is 0.
// Bernstein et al. 2018, "signSGD: Compressed optimisation for non-convex problems".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_sign(double momentum) {
  require_fraction("signum", "momentum", momentum);
  if (momentum == 0) {
    return per_parameter(
        {.name = "sign", .update = [](const Item& i) { return sign(i.gradient); }});
  }
  Rule rule{.name = "signum", .slots = {{"m"}}};
  rule.update = [momentum](const Item& i) {
    auto& m = i.state[0];
    m = momentum * m + (1 - momentum) * i.gradient;
    return sign(m);
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer signum(const SignumOptions& o) {
  return around(scale_by_sign(o.momentum),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_signum(OptimizerRegistry& registry) {
  add_optimizer(registry, {.name = "signsgd",
                           .help = "the sign of the gradient (Bernstein et al. 2018)",
                           .decoupled = true,
                           .rule = [](const Options&) { return scale_by_sign(0); }});
  add_optimizer(registry,
                {.name = "signum",
                 .help = "the sign of the mean gradient (Bernstein et al. 2018)",
                 .decoupled = true,
                 .options = {number_option("momentum", 0.9, "decay of the mean gradient", 0, 1)},
                 .rule = [](const Options& o) { return scale_by_sign(o.number("momentum")); }});
}

}  // namespace descent::optim
