// Adagrad: each element's rate falls with the sum of its squared gradients.
//
//   s_t = s_{t-1} + g_t^2,  s_0 = initial_accumulator
//   direction: g_t / (sqrt(s_t) + eps) / (1 + (t - 1) lr_decay)
//
// PyTorch's form and defaults (lr .01, accumulator 0, eps 1e-10 outside the root).
// convention = keras (optax has the same): g_t / sqrt(s_t + eps), accumulator .1, eps 1e-7; weight
// decay is decoupled. Its lr is .001, which is left to the user.
// Duchi, Hazan & Singer 2011, "Adaptive subgradient methods".
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer scale_by_adagrad(AdagradScale o) {
  require_not_negative("adagrad", "lr_decay", o.lr_decay);
  require_not_negative("adagrad", "initial_accumulator", o.initial_accumulator);
  require_not_negative("adagrad", "eps", o.eps);
  Rule rule{.name = "adagrad", .slots = {{"sum", o.initial_accumulator}}};
  if (o.lr_decay != 0) {
    rule.scalars = {{"decay", [o](std::int64_t step) {
                       return 1 / (1 + static_cast<double>(step) * o.lr_decay);
                     }}};
  }
  rule.update = [o](const Item& i) {
    const auto& g = i.gradient;
    auto& s = i.state[0];
    s = s + square(g);
    const auto root = o.convention == Convention::keras ? sqrt(s + o.eps) : sqrt(s) + o.eps;
    const auto direction = g / root;
    return i.scalars.empty() ? direction : direction * i.scalars[0];
  };
  return per_parameter(std::move(rule));
}

Optimizer adagrad(const AdagradOptions& o) {
  const bool decoupled = o.convention == Convention::keras;
  return around(scale_by_adagrad({o.lr_decay, o.initial_accumulator, o.eps, o.convention}),
                {.lr = o.lr,
                 .l2 = decoupled ? 0 : o.weight_decay,
                 .weight_decay = decoupled ? o.weight_decay : 0,
                 .decayed = o.decayed});
}

void register_adagrad(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "adagrad",
       .help = "rates that fall with the sum of squared gradients (Duchi et al. 2011)",
       .lr = 1e-2,
       .options = {number_option("lr_decay", 0, "the rate is divided by 1 + lr_decay * step"),
                   open_option("initial_accumulator",
                               "what the sum of squares starts at; default: 0, keras 0.1"),
                   open_option("eps",
                               "added to the root of the sum, or (keras) to the sum; default: "
                               "1e-10, keras 1e-7"),
                   convention_option({"torch", "keras"},
                                     "keras: eps inside the root, weight_decay decoupled")},
       .rule = [](const Options& o) {
         const auto convention = convention_of(o);
         const bool keras = convention == Convention::keras;
         return scale_by_adagrad(
             {.lr_decay = o.number("lr_decay"),
              .initial_accumulator = number_or(o, "initial_accumulator", keras ? 0.1 : 0),
              .eps = number_or(o, "eps", keras ? 1e-7 : 1e-10),
              .convention = convention});
       }});
}

}  // namespace descent::optim
