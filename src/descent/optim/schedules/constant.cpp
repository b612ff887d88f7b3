// The same rate at every step.
#include "descent/optim/rule.h"

namespace descent::optim {

Schedule constant(double lr) {
  return [lr](std::int64_t) { return lr; };
}

void register_constant(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "constant",
                .help = "the same rate at every step",
                .make = [](const Options&, const RunLength& run) { return constant(run.lr); }});
}

}  // namespace descent::optim
