// LAMB: Adam whose step is a part of each tensor's norm.
//
//   r_t: Adam's direction (corrected, eps outside the root) + weight_decay theta
//   direction: r_t |theta| / |r_t|,  or r_t where one of the norms is 0
//
// The paper's form with optax's eps 1e-6; Keras adds its decay outside of the ratio. The ratio is
// taken of every parameter tensor. You et al. 2020, "Large batch optimization for deep learning:
// training BERT in 76 minutes".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer scale_by_trust_ratio() {
  return per_parameter({.name = "trust_ratio", .update = [](const Item& i) {
                          const auto size = norm(i.parameter), length = norm(i.gradient);
                          const auto some = greater_mask(size, 0.0) * greater_mask(length, 0.0);
                          // where a norm is 0: 1 / 1, not 0 / 0
                          const auto ratio =
                              (some * size + (1.0 - some)) / (some * length + (1.0 - some));
                          return i.gradient * ratio;
                        }});
}

namespace {

Optimizer trusted_adam(const LambOptions& o) {
  std::vector<Optimizer> links{scale_by_adam({.b1 = o.b1, .b2 = o.b2, .eps = o.eps})};
  if (o.weight_decay != 0) links.push_back(decayed_weights(o.weight_decay, o.decayed));
  links.push_back(scale_by_trust_ratio());
  return chain(std::move(links));
}

}  // namespace

Optimizer lamb(const LambOptions& o) {
  return around(trusted_adam(o), {.lr = o.lr, .decayed = o.decayed});
}

void register_lamb(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "lamb",
       .help = "Adam with steps in proportion to each tensor's norm, for large batches (You et al. "
               "2020)",
       .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                   number_option("eps", 1e-6, "added to the corrected root of the mean square"),
                   number_option("weight_decay", 0,
                                 "weight_decay * parameter is added to Adam's direction before its "
                                 "norm is taken")},
       .rule = [](const Options& o) {
         return trusted_adam({.b1 = o.number("beta1"),
                              .b2 = o.number("beta2"),
                              .eps = o.number("eps"),
                              .weight_decay = o.number("weight_decay"),
                              .decayed = decayed_by(o)});
       }});
}

}  // namespace descent::optim
