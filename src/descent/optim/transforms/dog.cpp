// Distance over gradients (DoG): SGD that finds its rate.
//
//   direction: g max_k |theta_k - theta_0| / sqrt(sum_k |g_k|^2 + eps)
//
// norms over all parameters together (of each [[optimizer.groups]]); the distance begins at
// initial_distance (1 + |theta_0|). optax.contrib.dog. The authors advise to use an average of the
// weights: set ema_decay. Ivgi, Hinder & Carmon 2023, "DoG is SGD's best friend" (initial_distance
// 1e-6, with batch normalisation 1e-4).
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/rate_free.h"

namespace descent::optim {

Optimizer scale_by_dog(DogOptions o) {
  require_positive("dog", "initial_distance", o.initial_distance);
  require_not_negative("dog", "eps", o.eps);
  return joint({.name = "dog",
                .slots = {{"start"}},
                .numbers = {{"distance"}, {"squares"}},
                .scalars = {first_step()},
                .update = [o](const Joint& j) {
                  const auto& first = j.context.scalars[0];
                  auto &distance = j.number(0, 1), &squares = j.number(1, 1);
                  Values moved;
                  for (std::size_t i = 0; i < j.count(); ++i) {
                    auto& start = j.slot(0)[i];
                    start = select(first, j.parameter(i), start);
                    moved.push_back(j.parameter(i) - start);
                  }
                  const auto least =
                      o.initial_distance * (1.0 + sqrt(sum_of_squares(j.context.parameters)));
                  distance = select(first, least, maximum(distance, sqrt(sum_of_squares(moved))));
                  squares = squares + sum_of_squares(j.updates);
                  // No gradient yet and no eps: no step.
                  const auto root = sqrt(squares + o.eps);
                  const auto rate = select(root, distance / maximum(root, 1e-30), zeros_like(root));
                  for (auto& g : j.updates) g = rate * g;
                }});
}

void register_dog(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "dog",
       .help = "SGD with the rate distance moved / root of the squared gradients so far; lr is a "
               "factor, to be left at 1 (Ivgi et al. 2023)",
       .lr = 1.0,
       .options = {number_option("initial_distance", 1e-6,
                                 "first distance, times 1 + the norm of the weights"),
                   number_option("eps", 1e-8, "added to the sum of the squared gradients")},
       .rule = [](const Options& o) {
         return scale_by_dog(
             {.initial_distance = o.number("initial_distance"), .eps = o.number("eps")});
       }});
}

}  // namespace descent::optim
