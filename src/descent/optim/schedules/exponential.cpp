// lr * gamma^step, as torch.optim.lr_scheduler.ExponentialLR. Without gamma: the one that ends the
// run at lr * final_ratio.
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule exponential(double lr, double gamma) {
  require_positive("exponential schedule", "gamma", gamma);
  return [=](std::int64_t step) { return lr * std::pow(gamma, static_cast<double>(step)); };
}

void register_exponential(ScheduleRegistry& registry) {
  add_schedule(
      registry,
      {.name = "exponential",
       .help = "the rate times gamma at every step",
       .options = {{.key = "gamma",
                    .type = OptionType::number,
                    .help = "factor of each step; default: final_ratio^(1 / decay_steps)",
                    .min = 0},
                   number_option(
                       "final_ratio", 0.01,
                       "rate after decay_steps over the first rate, where gamma is not set"),
                   decay_steps_option()},
       .make = [](const Options& o, const RunLength& run) {
         if (o.has("gamma")) return exponential(run.lr, o.number("gamma"));
         const auto steps = static_cast<double>(decay_steps(o, run));
         return exponential(run.lr, std::pow(o.number("final_ratio"), 1 / steps));
       }});
}

}  // namespace descent::optim
