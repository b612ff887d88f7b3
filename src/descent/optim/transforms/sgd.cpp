// Stochastic gradient descent, with momentum.
//
//   b_1 = g_1,  b_t = momentum * b_{t-1} + (1 - dampening) * g_t
//   direction: b_t, or with nesterov g_t + momentum * b_t
//
// PyTorch's form. It differs from v = mu v - lr g, theta += v (Sutskever et al. 2013, Keras,
// scikit-learn) as soon as the learning rate changes: here a lower rate acts on the whole momentum
// at once. Polyak 1964; Nesterov 1983, as reformulated by Sutskever et al. 2013, "On the
// importance of initialization and momentum in deep learning".
#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer trace(TraceOptions o) {
  require_not_negative("sgd", "momentum", o.momentum);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw Error(ErrorKind::usage, "nesterov needs a momentum and no dampening", "sgd");
  }
  Rule rule{.name = "trace", .slots = {{"b"}}};
  if (o.dampening != 0) {  // the first gradient enters whole
    rule.scalars = {{"gain", [o](std::int64_t step) { return step == 0 ? 1 : 1 - o.dampening; }}};
  }
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto& b = i.state[0];
    b = o.momentum * b + (i.scalars.empty() ? g : i.scalars[0] * g);
    return o.nesterov ? g + o.momentum * b : b;
  };
  return per_parameter(std::move(rule));
}

Optimizer sgd(const SgdOptions& o) {
  const auto rule =
      o.momentum == 0 && !o.nesterov
          ? nullptr
          : trace({.momentum = o.momentum, .dampening = o.dampening, .nesterov = o.nesterov});
  return around(rule, {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_sgd(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "sgd",
       .help = "stochastic gradient descent with momentum, PyTorch's form (Polyak 1964; Sutskever "
               "et al. 2013)",
       .lr = 1e-3,
       .options = {number_option("momentum", 0, "part of the last direction that is kept"),
                   number_option("dampening", 0, "part of the gradient left out of the momentum", 0,
                                 1),
                   boolean_option("nesterov", "step along gradient + momentum * direction")},
       .rule = [](const Options& options) -> Optimizer {
         const TraceOptions o{.momentum = options.number("momentum"),
                              .dampening = options.number("dampening"),
                              .nesterov = options.boolean("nesterov")};
         return o.momentum == 0 && !o.nesterov ? nullptr : trace(o);
       }});
}

}  // namespace descent::optim
