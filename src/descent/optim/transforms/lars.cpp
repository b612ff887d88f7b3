// LARS: momentum whose step is a part of each tensor's norm.
//
//   rate of a tensor: trust_coefficient |theta| / (|g_t| + weight_decay |theta| + eps),
//                     1 where |theta| or |g_t| is 0
//   v_t = momentum v_{t-1} - lr rate (g_t + weight_decay theta)
//   update: v_t, or with nesterov momentum v_t - lr rate (g_t + weight_decay theta)
//
// The paper's form (optax divides by |g_t + weight_decay theta| instead), the rate inside the
// momentum. It is taken of every parameter tensor. You, Gitman & Ginsburg 2017, "Large batch
// training of convolutional networks", arXiv 1708.03888.
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_layer_rate(const LarsOptions& o) {
  require_not_negative("lars", "trust_coefficient", o.trust_coefficient);
  require_not_negative("lars", "eps", o.eps);
  require_not_negative("lars", "weight_decay", o.weight_decay);
  return per_parameter({.name = "lars", .update = [o](const Item& i) {
                          const bool applies = i.info.decay || o.decayed == every_parameter;
                          const double decay = applies ? o.weight_decay : 0;
                          const auto size = norm(i.parameter), length = norm(i.gradient);
                          const auto some = greater_mask(size, 0.0) *
                                            greater_mask(length, 0.0);  // 0: the rate is 1 / 1
                          const auto rate = (some * (o.trust_coefficient * size) + (1.0 - some)) /
                                            (some * (length + decay * size + o.eps) + (1.0 - some));
                          const auto whole =
                              decay == 0 ? i.gradient : i.gradient + decay * i.parameter;
                          return whole * rate;
                        }});
}

Optimizer layerwise_momentum(const LarsOptions& o) {
  std::vector<Optimizer> links{scale_by_layer_rate(o), scale_by_schedule(o.lr)};
  if (o.momentum != 0 || o.nesterov) {
    links.push_back(trace({.momentum = o.momentum, .nesterov = o.nesterov}));
  }
  return chain(std::move(links));
}

}  // namespace

Optimizer lars(const LarsOptions& o) {
  return around(layerwise_momentum(o), {.lr = o.lr, .decayed = o.decayed, .whole = true});
}

void register_lars(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "lars",
       .help = "momentum with steps in proportion to each tensor's norm, for large batches (You et "
               "al. 2017)",
       .lr = 0.1,
       .options = {number_option("momentum", 0.9, "part of the last update that is kept"),
                   number_option("trust_coefficient", 1e-3,
                                 "part of a tensor's norm that a step of rate 1 makes"),
                   number_option("eps", 0, "added to the norm of the gradient"),
                   boolean_option("nesterov", "update momentum * v - lr * rate * gradient"),
                   number_option("weight_decay", 0,
                                 "weight_decay * parameter is added to the gradient, and its norm "
                                 "to the gradient's")},
       .whole = [](const Options& o, const Schedule& rate) {
         return layerwise_momentum({.lr = rate,
                                    .momentum = o.number("momentum"),
                                    .trust_coefficient = o.number("trust_coefficient"),
                                    .eps = o.number("eps"),
                                    .nesterov = o.boolean("nesterov"),
                                    .weight_decay = o.number("weight_decay"),
                                    .decayed = decayed_by(o)});
       }});
}

}  // namespace descent::optim
