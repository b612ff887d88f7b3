// Half a cosine from the rate to min_lr, again and again, as torch.optim.lr_scheduler.
// CosineAnnealingWarmRestarts: the first period has T_0 = period steps, each next T_mult =
// period_factor times as many.
//
//   min_lr + (lr - min_lr) (1 + cos(pi t / T_i)) / 2, t: steps since the last restart
//
// Loshchilov & Hutter 2017, "SGDR: Stochastic gradient descent with warm restarts".
#include <cmath>
#include <numbers>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule cosine_restarts(double lr, std::int64_t period, CosineRestartsOptions o) {
  require_positive("cosine_restarts schedule", "period", static_cast<double>(period));
  require_positive("cosine_restarts schedule", "period_factor",
                   static_cast<double>(o.period_factor));
  return [=](std::int64_t step) {
    std::int64_t length = period, at = step;
    if (o.period_factor == 1) at %= period;
    while (at >= length) at -= length, length *= o.period_factor;
    const double root =
        std::cos(std::numbers::pi * static_cast<double>(at) / (2 * static_cast<double>(length)));
    return o.min_lr + (lr - o.min_lr) * root * root;
  };
}

void register_cosine_restarts(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "cosine_restarts",
                .help = "half a cosine from the rate to min_lr, again and again (Loshchilov & "
                        "Hutter 2017)",
                .options = {{.key = "period",
                             .type = OptionType::integer,
                             .help = "steps of the first fall",
                             .min = 1,
                             .required = true},
                            {.key = "period_factor",
                             .type = OptionType::integer,
                             .fallback = std::int64_t{1},
                             .help = "how many times as long each next fall is",
                             .min = 1},
                            number_option("min_lr", 0, "rate at the end of a fall")},
                .make = [](const Options& o, const RunLength& run) {
                  return cosine_restarts(
                      run.lr, o.integer("period"),
                      {.period_factor = o.integer("period_factor"), .min_lr = o.number("min_lr")});
                }});
}

}  // namespace descent::optim
