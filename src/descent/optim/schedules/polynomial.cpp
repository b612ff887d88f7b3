// min_lr + (lr - min_lr) (1 - step / steps)^power, then min_lr; with min_lr = 0 as
// torch.optim.lr_scheduler.PolynomialLR.
#include <algorithm>
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule polynomial(double lr, std::int64_t steps, PolynomialOptions options) {
  require_positive("polynomial schedule", "steps", static_cast<double>(steps));
  require_positive("polynomial schedule", "power", options.power);
  return [=](std::int64_t step) {
    const double left =
        static_cast<double>(std::max<std::int64_t>(steps - step, 0)) / static_cast<double>(steps);
    return options.min_lr + (lr - options.min_lr) * std::pow(left, options.power);
  };
}

void register_polynomial(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "polynomial",
                .help = "a power of the part of the run that is left",
                .options = {number_option("power", 1, "exponent; 1: a straight line"),
                            number_option("min_lr", 0, "rate at the end"), decay_steps_option()},
                .make = [](const Options& o, const RunLength& run) {
                  return polynomial(run.lr, decay_steps(o, run),
                                    {.power = o.number("power"), .min_lr = o.number("min_lr")});
                }});
}

}  // namespace descent::optim
