// lr * (start_factor + (end_factor - start_factor) step / steps), then lr * end_factor, as
// torch.optim.lr_scheduler.LinearLR (whose defaults, 1/3 to 1 over 5 steps, make it a warm-up; ours
// decay to 0 over the run).
#include <algorithm>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule linear(double lr, std::int64_t steps, LinearOptions options) {
  require_positive("linear schedule", "steps", static_cast<double>(steps));
  return [=](std::int64_t step) {
    const double left =
        static_cast<double>(std::max<std::int64_t>(steps - step, 0)) / static_cast<double>(steps);
    return lr * (options.end_factor + (options.start_factor - options.end_factor) * left);
  };
}

void register_linear(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "linear",
                .help = "a straight line from start_factor to end_factor times the rate",
                .options = {number_option("start_factor", 1, "factor of the rate at the start"),
                            number_option("end_factor", 0, "factor of the rate at the end"),
                            decay_steps_option()},
                .make = [](const Options& o, const RunLength& run) {
                  return linear(run.lr, decay_steps(o, run),
                                {.start_factor = o.number("start_factor"),
                                 .end_factor = o.number("end_factor")});
                }});
}

}  // namespace descent::optim
