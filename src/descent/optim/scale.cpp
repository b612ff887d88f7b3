#include <cmath>

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

double one_minus_power(double b, std::int64_t t) {
  return -std::expm1(static_cast<double>(t) * std::log(b));
}

HostScalar bias_correction(std::string name, double b) {
  return {std::move(name), [b](std::int64_t step) { return 1 / one_minus_power(b, step + 1); }};
}

}  // namespace descent::optim
