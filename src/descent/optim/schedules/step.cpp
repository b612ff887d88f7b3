// lr * gamma^floor(step / step_size), as torch.optim.lr_scheduler.StepLR.
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule step_decay(double lr, std::int64_t step_size, double gamma) {
  require_positive("step schedule", "step_size", static_cast<double>(step_size));
  return [=](std::int64_t step) {
    const auto decays = step / step_size;
    return lr * std::pow(gamma, static_cast<double>(decays));
  };
}

void register_step(ScheduleRegistry& registry) {
  add_schedule(registry, {.name = "step",
                          .help = "the rate times gamma every step_size steps",
                          .options = {{.key = "step_size",
                                       .type = OptionType::integer,
                                       .help = "steps between two decays",
                                       .min = 1,
                                       .required = true},
                                      number_option("gamma", 0.1, "factor of a decay")},
                          .make = [](const Options& o, const RunLength& run) {
                            return step_decay(run.lr, o.integer("step_size"), o.number("gamma"));
                          }});
}

}  // namespace descent::optim
