// Schedule-Free SGD and AdamW: averaging in the place of a decaying rate.
//
//   gradients g are taken at y, the parameters; d is the base rule's direction:
//     sgd: g,   adamw: g / (sqrt(v / (1 - b2^t)) + eps) + weight_decay y
//   c = w_t / (w_1 + ... + w_t),  w_t = (largest lr so far)^weight_lr_power
//   y <- (1 - c) y + c z + lr (b1 (1 - c) - 1) d
//   z <- z - lr d
//   x = (y - (1 - b1) z) / b1: the weights to use, which are what is validated and saved
//
// The authors' code with its r = 0; optax writes the same with x in between. A warm-up fits, a
// decaying schedule does not. Running statistics (batch normalisation) are those at y.
// Defazio et al. 2024, "The road less scheduled".
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/rate_free.h"

namespace descent::optim {
namespace {

// direction: of parameter i, from its gradient and (for Adam) its slot 1.
Optimizer schedule_free(const Schedule& lr, double beta, double power, bool second_moment,
                        std::vector<HostScalar> more,
                        const std::function<Value(const Joint&, std::size_t)>& direction) {
  require_positive("schedule_free", "beta1", beta);
  require_fraction("schedule_free", "beta1", beta);
  require_not_negative("schedule_free", "weight_lr_power", power);
  JointRule rule{.name = "schedule_free",
                 .slots = {{"z"}},
                 .numbers = {{"largest_lr"}, {"weights"}},
                 .scalars = {first_step(), {"lr", lr}}};
  if (second_moment) rule.slots.push_back({"v"});
  rule.scalars.insert(rule.scalars.end(), more.begin(), more.end());
  rule.update = [=, slots = rule.slots.size()](const Joint& j) {
    const auto &first = j.context.scalars[0], &rate = j.context.scalars[1];
    auto &largest = j.number(0, slots), &weights = j.number(1, slots);
    largest = maximum(largest, rate);
    const auto weight = pow(largest, power);
    weights = weights + weight;
    const auto c = weight / maximum(weights, 1e-30);  // a rate of 0 moves nothing
    const auto along = rate * (beta * (1.0 - c) - 1.0);
    for (std::size_t i = 0; i < j.count(); ++i) {
      const auto& y = j.parameter(i);
      auto& z = j.slot(0)[i];
      z = select(first, y, z);
      const auto d = direction(j, i);
      j.updates[i] = c * (z - y) + along * d;
      z = z - rate * d;
    }
  };
  rule.averaged = [beta](const Value& y, std::span<const Value> slots) {
    return y + (1 - 1 / beta) * (slots[0] - y);
  };
  return joint(std::move(rule));
}

Optimizer scaled_sgd(const Schedule& lr, double beta, double power) {
  return schedule_free(lr, beta, power, false, {},
                       [](const Joint& j, std::size_t i) { return j.updates[i]; });
}

Optimizer scaled_adamw(const ScheduleFreeAdamwOptions& o) {
  require_fraction("schedule_free_adamw", "beta2", o.b2);
  require_not_negative("schedule_free_adamw", "eps", o.eps);
  const auto correction = [b2 = o.b2](std::int64_t step) {
    return 1 / one_minus_power(b2, step + 1);
  };
  return schedule_free(o.lr.schedule(), o.b1, o.weight_lr_power, true, {{"c2", correction}},
                       [b2 = o.b2, eps = o.eps, decay = o.weight_decay, decayed = o.decayed](
                           const Joint& j, std::size_t i) {
                         const auto& g = j.updates[i];
                         auto& v = j.slot(1)[i];
                         v = b2 * v + (1 - b2) * square(g);
                         const auto d = g / (sqrt(v * j.context.scalars[2]) + eps);
                         if (decay == 0 || !j.decays(i, decayed)) return d;
                         return d + decay * j.parameter(i);
                       });
}

}  // namespace

Optimizer schedule_free_sgd(const ScheduleFreeSgdOptions& o) {
  return around(scaled_sgd(o.lr.schedule(), o.beta, o.weight_lr_power),
                {.l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

Optimizer schedule_free_adamw(const ScheduleFreeAdamwOptions& o) {
  return around(scaled_adamw(o), {.whole = true});
}

void register_schedule_free(OptimizerRegistry& registry) {
  const auto beta = number_option(
      "beta1", 0.9, "weight of the average in the point where gradients are taken", 0, 1);
  const auto power =
      number_option("weight_lr_power", 2, "a step's weight in the average: its rate to this power");
  add_optimizer(registry,
                {.name = "schedule_free_sgd",
                 .help = "SGD with averaging instead of a schedule; the average is what is "
                         "validated and saved (Defazio et al. 2024)",
                 .lr = 1.0,
                 .options = {beta, power},
                 .rule = {},
                 .whole = [](const Options& o, const Schedule& rate) {
                   return scaled_sgd(rate, o.number("beta1"), o.number("weight_lr_power"));
                 }});
  add_optimizer(
      registry,
      {.name = "schedule_free_adamw",
       .help = "AdamW with averaging instead of a schedule; the average is what is validated and "
               "saved (Defazio et al. 2024)",
       .lr = 0.0025,
       .decoupled = true,
       .options = {beta, power, number_option("beta2", 0.999, "decay of the mean square", 0, 1),
                   number_option("eps", 1e-8, "added to the corrected root of the mean square")},
       .rule = {},
       .whole = [](const Options& o, const Schedule& rate) {
         return scaled_adamw({.lr = rate,
                              .b1 = o.number("beta1"),
                              .b2 = o.number("beta2"),
                              .eps = o.number("eps"),
                              .weight_lr_power = o.number("weight_lr_power"),
                              .weight_decay = o.number("weight_decay"),
                              .decayed = decayed_by(o)});
       }});
}

}  // namespace descent::optim
