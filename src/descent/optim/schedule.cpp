#include "descent/optim/schedule.h"

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule warmup(std::int64_t steps, Schedule schedule, double start_factor) {
  require_not_negative("warmup", "steps", static_cast<double>(steps));
  require_not_negative("warmup", "start_factor", start_factor);
  return [=, schedule = std::move(schedule)](std::int64_t step) {
    if (step >= steps) return schedule(step - steps);
    const double part = static_cast<double>(step) / static_cast<double>(steps);
    return schedule(0) * (start_factor + (1 - start_factor) * part);
  };
}

}  // namespace descent::optim
