// lr * factor for the first `steps` steps, then lr, as torch.optim.lr_scheduler.ConstantLR.
#include "descent/optim/rule.h"

namespace descent::optim {

Schedule constant_factor(double lr, ConstantFactorOptions o) {
  require_not_negative("constant_factor schedule", "factor", o.factor);
  return [=](std::int64_t step) { return step < o.steps ? lr * o.factor : lr; };
}

void register_constant_factor(ScheduleRegistry& registry) {
  add_schedule(registry, {.name = "constant_factor",
                          .help = "factor times the rate for some steps, then the rate",
                          .options = {number_option("factor", 1.0 / 3, "of the rate at the start"),
                                      {.key = "steps",
                                       .type = OptionType::integer,
                                       .fallback = std::int64_t{5},
                                       .help = "for so many steps",
                                       .min = 0}},
                          .make = [](const Options& o, const RunLength& run) {
                            return constant_factor(run.lr, {.factor = o.number("factor"),
                                                            .steps = o.integer("steps")});
                          }});
}

}  // namespace descent::optim
