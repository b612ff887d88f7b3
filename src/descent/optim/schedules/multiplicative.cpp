// lr times the factors of all milestones <= step: torch.optim.lr_scheduler.MultiplicativeLR with a
// function that is factors[i] at milestones[i] and 1 elsewhere.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/optim/rule.h"

namespace descent::optim {

Schedule multiplicative(double lr, std::vector<std::int64_t> milestones,
                        std::vector<double> factors) {
  if (milestones.size() != factors.size()) {
    throw Error(ErrorKind::usage,
                fmt::format("{} milestones and {} factors", milestones.size(), factors.size()),
                "multiplicative schedule", "give one factor for each milestone");
  }
  return [=, milestones = std::move(milestones), factors = std::move(factors)](std::int64_t step) {
    double rate = lr;
    for (std::size_t i = 0; i < milestones.size(); ++i) {
      if (milestones[i] <= step) rate *= factors[i];
    }
    return rate;
  };
}

void register_multiplicative(ScheduleRegistry& registry) {
  add_schedule(registry,
               {.name = "multiplicative",
                .help = "at each milestone the rate times a factor of its own",
                .options = {{.key = "milestones",
                             .type = OptionType::integers,
                             .help = "steps of the changes, counted from the end of the warm-up",
                             .min = 0,
                             .required = true},
                            {.key = "factors",
                             .type = OptionType::numbers,
                             .help = "one for each milestone; above 1 the rate rises",
                             .min = 0,
                             .required = true}},
                .make = [](const Options& o, const RunLength& run) {
                  return multiplicative(run.lr, o.integers("milestones"), o.numbers("factors"));
                }});
}

}  // namespace descent::optim
