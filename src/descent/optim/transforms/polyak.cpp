// Polyak's step size, on batches:
//
//   direction: g min((f - f_min) / (|g|^2 + eps), max_step)
//
// f: loss of the batch, f_min: the least it can be; the norm is over all parameters together. Where
// the gradient vanishes there is no step, as in optax.polyak_sgd ("sps"), and where f is below
// f_min the step goes uphill, as there. Polyak 1969; Loizou et al. 2021, "Stochastic Polyak
// step-size for SGD".
#include <limits>

#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/rate_free.h"

namespace descent::optim {

Optimizer scale_by_polyak(PolyakOptions o) {
  require_positive("polyak", "max_step", o.max_step);
  require_not_negative("polyak", "eps", o.eps);
  return joint({.name = "polyak", .update = [o](const Joint& j) {
                  const auto squares = sum_of_squares(j.updates) + o.eps;
                  const auto some = greater_mask(squares, std::numeric_limits<double>::epsilon());
                  const auto gap = loss_of(j.context, "polyak") - o.f_min;
                  const auto rate = select(some, minimum(gap / maximum(squares, 1e-30), o.max_step),
                                           zeros_like(squares));
                  for (auto& g : j.updates) g = rate * g;
                }});
}

void register_polyak(OptimizerRegistry& registry) {
  auto f_min = number_option("f_min", 0, "the least the loss can be");
  f_min.min = {};
  add_optimizer(registry,
                {.name = "polyak",
                 .help = "SGD with Polyak's step size from the loss and its least value; lr is a "
                         "factor, to be left at 1 (Loizou et al. 2021)",
                 .lr = 1.0,
                 .options = {f_min, number_option("max_step", 1, "largest step size"),
                             number_option("eps", 0, "added to the squared norm of the gradient")},
                 .rule = [](const Options& o) {
                   return scale_by_polyak({.f_min = o.number("f_min"),
                                           .max_step = o.number("max_step"),
                                           .eps = o.number("eps")});
                 }});
}

}  // namespace descent::optim
