// min_lr + (lr - min_lr) (1 + cos(pi step / steps)) / 2, as torch.optim.lr_scheduler.
// CosineAnnealingLR up to `steps`; afterwards min_lr (PyTorch's rises again).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule cosine(double lr, std::int64_t steps, CosineOptions options) {
  require_positive("cosine schedule", "steps", static_cast<double>(steps));
  return [=](std::int64_t step) {
    const double part = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
    if (part == 1) return options.min_lr;
    const double root =
        std::cos(std::numbers::pi * part / 2);  // (1 + cos 2x) / 2 = cos^2 x: no cancellation
    return options.min_lr + (lr - options.min_lr) * root * root;
  };
}

void register_cosine(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "cosine",
                .help = "half a cosine from the rate to min_lr (Loshchilov & Hutter 2017)",
                .options = {number_option("min_lr", 0, "rate at the end"), decay_steps_option()},
                .make = [](const Options& o, const RunLength& run) {
                  return cosine(run.lr, decay_steps(o, run), {.min_lr = o.number("min_lr")});
                }});
}

}  // namespace descent::optim
