// lr * gamma^(number of milestones <= step), as torch.optim.lr_scheduler.MultiStepLR.
#include <algorithm>
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule multistep(double lr, std::vector<std::int64_t> milestones, double gamma) {
  std::ranges::sort(milestones);
  return [=, milestones = std::move(milestones)](std::int64_t step) {
    const auto passed = std::ranges::upper_bound(milestones, step) - milestones.begin();
    return lr * std::pow(gamma, static_cast<double>(passed));
  };
}

void register_multistep(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "multistep",
                .help = "the rate times gamma at each milestone",
                .options = {{.key = "milestones",
                             .type = OptionType::integers,
                             .help = "steps of the decays, counted from the end of the warm-up",
                             .min = 0,
                             .required = true},
                            number_option("gamma", 0.1, "factor of a decay")},
                .make = [](const Options& o, const RunLength& run) {
                  return multistep(run.lr, o.integers("milestones"), o.number("gamma"));
                }});
}

}  // namespace descent::optim
