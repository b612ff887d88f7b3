// Adam and AdamW.
//
//   m_t = b1 m_{t-1} + (1 - b1) g_t
//   v_t = b2 v_{t-1} + (1 - b2) g_t^2          amsgrad: the largest v so far stands for v_t below
//   direction: m_t / (1 - b1^t)  /  (sqrt(v_t / (1 - b2^t)) + eps)
//
// PyTorch's form: eps is added to the corrected root, amsgrad takes the largest uncorrected v. adam
// couples weight decay into the gradient; adamw adds weight_decay * parameter to the direction, so
// that parameters shrink by lr * weight_decay.
// convention = keras: eps is added to the uncorrected root ("epsilon hat": m sqrt(1 - b2^t) /
// (1 - b1^t) / (sqrt(v_t) + eps)) and is 1e-7 by default; adam's weight decay is decoupled too.
// convention = paper: as PyTorch's, but amsgrad has no corrections (Reddi et al., algorithm 2), and
// adamw's parameters shrink by weight_decay times the schedule's multiplier lr(t) / lr (Loshchilov
// & Hutter, algorithm 2), which is far more than lr * weight_decay. Kingma & Ba 2015, "Adam";
// Loshchilov & Hutter 2019, "Decoupled weight decay regularization"; Reddi, Kale & Kumar 2018, "On
// the convergence of Adam and beyond".
#include <cmath>

#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
Optimizer scale_by_adam(AdamScale o) {
  require_fraction("adam", "beta1", o.b1);
  require_fraction("adam", "beta2", o.b2);
  require_not_negative("adam", "eps", o.eps);
  Rule rule{.name = "adam", .slots = {{"m"}, {"v"}}};
  if (o.amsgrad) rule.slots.push_back({"v_max"});
  const bool keras = o.convention == Convention::keras;
  const bool corrected = o.convention != Convention::paper || !o.amsgrad;
  if (corrected) {
    rule.scalars = {
        bias_correction("c1", o.b1),
        {"c2", [o](std::int64_t step) { return 1 / std::sqrt(one_minus_power(o.b2, step + 1)); }},
    };
  }
  if (keras) {  // both corrections in front of the quotient
    rule.scalars = {{"c", [o](std::int64_t step) {
                       return std::sqrt(one_minus_power(o.b2, step + 1)) /
                              one_minus_power(o.b1, step + 1);
                     }}};
  }
  rule.update = [o, keras, corrected](const Item& i) {
    const auto& g = i.gradient;
    auto &m = i.state[0], &v = i.state[1];
    m = o.b1 * m + (1 - o.b1) * g;
    v = o.b2 * v + (1 - o.b2) * square(g);
    if (o.amsgrad) i.state[2] = maximum(i.state[2], v);
    const auto& second = o.amsgrad ? i.state[2] : v;
    if (keras) return m * i.scalars[0] / (sqrt(second) + o.eps);
    if (!corrected) return m / (sqrt(second) + o.eps);
    return m * i.scalars[0] / (sqrt(second) * i.scalars[1] + o.eps);
  };
  return per_parameter(std::move(rule));
}

Optimizer adam(const AdamOptions& o) {
  const bool decoupled = o.convention == Convention::keras;
  return around(scale_by_adam({o.b1, o.b2, o.eps, o.amsgrad, o.convention}),
                {.lr = o.lr,
                 .l2 = decoupled ? 0 : o.weight_decay,
                 .weight_decay = decoupled ? o.weight_decay : 0,
                 .decayed = o.decayed});
}

namespace {

// The paper's AdamW as a whole; null for the other conventions.
Optimizer papers_adamw(const AdamwOptions& o) {
  if (o.convention != Convention::paper) return nullptr;
  const Rate multiplier = o.multiplier ? Rate(o.multiplier) : Rate(1);
  return chain({scale_by_adam({o.b1, o.b2, o.eps, o.amsgrad, o.convention}),
                scale_by_schedule(o.lr), decay_by_rate(multiplier, o.weight_decay, o.decayed)});
}

AdamScale scale_from(const Options& o) {
  const auto convention = convention_of(o);
  return {.b1 = o.number("beta1"),
          .b2 = o.number("beta2"),
          .eps = number_or(o, "eps", convention == Convention::keras ? 1e-7 : 1e-8),
          .amsgrad = o.boolean("amsgrad"),
          .convention = convention};
}

Optimizer papers_adamw_from(const Options& o, const Schedule& rate) {
  const auto s = scale_from(o);
  const double lr = o.number("lr");
  Schedule multiplier;
  if (lr > 0) multiplier = [rate, lr](std::int64_t step) { return rate(step) / lr; };
  return papers_adamw({.lr = rate,
                       .b1 = s.b1,
                       .b2 = s.b2,
                       .eps = s.eps,
                       .amsgrad = s.amsgrad,
                       .weight_decay = o.number("weight_decay"),
                       .decayed = decayed_by(o),
                       .convention = s.convention,
                       .multiplier = multiplier});
}

}  // namespace

Optimizer adamw(const AdamwOptions& o) {
  const auto whole = papers_adamw(o);
  return around(whole ? whole : scale_by_adam({o.b1, o.b2, o.eps, o.amsgrad, o.convention}),
                {.lr = o.lr,
                 .weight_decay = o.weight_decay,
                 .decayed = o.decayed,
                 .whole = static_cast<bool>(whole)});
}

void register_adam(OptimizerRegistry& registry) {
  OptimizerRow row{
      .name = "adam",
      .help = "steps of the mean gradient over its root mean square (Kingma & Ba 2015)",
      .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                  number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                  open_option("eps",
                              "added to the root of the mean square, corrected or (keras) not; "
                              "default: 1e-8, keras 1e-7"),
                  boolean_option("amsgrad",
                                 "divide by the largest mean square so far (Reddi et al. 2018)"),
                  convention_option({"torch", "keras", "paper"},
                                    "keras: eps on the uncorrected root, weight_decay decoupled; "
                                    "paper: amsgrad uncorrected")},
      .rule = [](const Options& o) { return scale_by_adam(scale_from(o)); }};
  add_optimizer(registry, row);
  row.name = "adamw";
  row.help = "Adam with decoupled weight decay (Loshchilov & Hutter 2019)";
  row.weight_decay = 0.01;
  row.decoupled = true;
  row.options.back() = convention_option(
      {"torch", "keras", "paper"},
      "keras: eps on the uncorrected root; paper: parameters shrink by weight_decay * lr(t) / lr, "
      "and amsgrad is uncorrected");
  row.whole = papers_adamw_from;
  add_optimizer(registry, row);
}

}  // namespace descent::optim
