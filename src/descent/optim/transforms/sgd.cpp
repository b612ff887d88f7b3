// Stochastic gradient descent, with momentum.
//
//   b_1 = g_1,  b_t = momentum * b_{t-1} + (1 - dampening) * g_t
//   direction: b_t, or with nesterov g_t + momentum * b_t
//
// PyTorch's form. A lower rate acts on the whole momentum at once.
// convention = keras or paper (also scikit-learn's): the rate is inside,
//   v_t = momentum * v_{t-1} - lr g_t,  update: v_t, or with nesterov momentum * v_t - lr g_t
// which differs as soon as the rate changes; with nesterov it is the look-ahead form of Sutskever
// et al., the look-ahead point being the parameter (see nesterov.cpp). keras: weight decay is
// decoupled. No dampening.
// Polyak 1964; Nesterov 1983, as reformulated by Sutskever et al. 2013, "On the importance of
// initialization and momentum in deep learning".
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

namespace {

Optimizer momentum_of(const SgdOptions& o) {
  if (o.momentum == 0 && !o.nesterov) return nullptr;
  return trace({.momentum = o.momentum, .dampening = o.dampening, .nesterov = o.nesterov});
}

// The form with the rate inside the velocity; null where there is no difference.
Optimizer velocity_of(const SgdOptions& o) {
  if (o.convention == Convention::torch || (o.momentum == 0 && !o.nesterov)) return nullptr;
  if (o.dampening != 0) {
    throw Error(ErrorKind::usage, "only convention = \"torch\" has a dampening", "sgd");
  }
  std::vector<Optimizer> links{scale_by_schedule(o.lr), momentum_of(o)};
  if (o.convention == Convention::keras && o.weight_decay != 0) {
    links.push_back(decay_by_rate(o.lr, o.weight_decay, o.decayed));
  }
  return chain(std::move(links));
}

SgdOptions options_from(const Options& o, const Rate& rate) {
  return {.lr = rate,
          .momentum = o.number("momentum"),
          .dampening = o.number("dampening"),
          .nesterov = o.boolean("nesterov"),
          .weight_decay = o.number("weight_decay"),
          .decayed = decayed_by(o),
          .convention = convention_of(o)};
}

}  // namespace

Optimizer sgd(const SgdOptions& o) {
  const auto whole = velocity_of(o);
  const bool decoupled = o.convention == Convention::keras;
  return around(whole ? whole : momentum_of(o), {.lr = o.lr,
                                                 .l2 = decoupled ? 0 : o.weight_decay,
                                                 .weight_decay = decoupled ? o.weight_decay : 0,
                                                 .decayed = o.decayed,
                                                 .whole = static_cast<bool>(whole)});
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
                   boolean_option("nesterov", "step along gradient + momentum * direction"),
                   convention_option(
                       {"torch", "keras", "paper"},
                       "keras and paper: the rate is inside the momentum, v = "
                       "momentum * v - lr * gradient; keras: weight_decay decoupled")},
       .rule = [](const Options& o) { return momentum_of(options_from(o, 1.0)); },
       .whole = [](const Options& o,
                   const Schedule& rate) { return velocity_of(options_from(o, rate)); }});
}

}  // namespace descent::optim
