// Lion: the sign of a momentum.
//
//   direction: sign(b1 m_{t-1} + (1 - b1) g_t);  m_t = b2 m_{t-1} + (1 - b2) g_t
//
// The paper's form and betas, optax's weight decay (.001, decoupled); lr 1e-4: the paper advises a
// third to a tenth of AdamW's. The sign of 0 is 0. Chen et al. 2023, "Symbolic discovery of
// optimization algorithms".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_lion(double b1, double b2) {
  require_fraction("lion", "beta1", b1);
  require_fraction("lion", "beta2", b2);
  Rule rule{.name = "lion", .slots = {{"m"}}};
  rule.update = [=](const Item& i) {
    auto& m = i.state[0];
    const auto d = i.gradient - m;  // shared, so that both are one pass over memory
    auto direction = sign(m + (1 - b1) * d);
    m = m + (1 - b2) * d;
    return direction;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer lion(const LionOptions& o) {
  return around(scale_by_lion(o.b1, o.b2),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_lion(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "lion",
       .help = "the sign of a momentum; wants a third to a tenth of AdamW's rate (Chen et "
               "al. 2023)",
       .lr = 1e-4,
       .weight_decay = 1e-3,
       .decoupled = true,
       .options = {number_option("beta1", 0.9, "part of the momentum in the direction", 0, 1),
                   number_option("beta2", 0.99, "decay of the momentum", 0, 1)},
       .rule = [](const Options& o) {
         return scale_by_lion(o.number("beta1"), o.number("beta2"));
       }});
}

}  // namespace descent::optim
