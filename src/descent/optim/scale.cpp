#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer scale(double factor) {
  return per_parameter(
      {.name = "scale", .update = [factor](const Item& i) { return i.gradient * factor; }});
}

Optimizer scale_by_schedule(const Rate& rate) {
  return per_parameter(
      {.name = "schedule",
       .scalars = {{"minus_lr",
                    [schedule = rate.schedule()](std::int64_t step) { return -schedule(step); }}},
       .update = [](const Item& i) { return i.gradient * i.scalars[0]; }});
}

}  // namespace descent::optim
