// Up and down between min_lr and the rate, as torch.optim.lr_scheduler.CyclicLR (base_lr is our
// min_lr, max_lr our lr; momentum does not cycle):
//
//   min_lr + (lr - min_lr) * height * scale
//   height: rises from 0 to 1 in step_size_up steps, falls back in step_size_down
//   scale:  triangular 1, triangular2 2^-(cycles done), exp_range gamma^step
//
// Smith 2017, "Cyclical learning rates for training neural networks".
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule cyclic(double lr, CyclicOptions o) {
  const std::int64_t up = o.step_size_up, down = o.step_size_down > 0 ? o.step_size_down : up;
  require_positive("cyclic schedule", "step_size_up", static_cast<double>(up));
  require_not_negative("cyclic schedule", "step_size_down", static_cast<double>(o.step_size_down));
  require_positive("cyclic schedule", "gamma", o.gamma);
  return [=](std::int64_t step) {
    const std::int64_t at = step % (up + down), cycle = step / (up + down);
    const double height = at <= up
                              ? static_cast<double>(at) / static_cast<double>(up)
                              : static_cast<double>(up + down - at) / static_cast<double>(down);
    double scale = 1;
    if (o.mode == Cycles::triangular2) scale = std::pow(0.5, static_cast<double>(cycle));
    if (o.mode == Cycles::exp_range) scale = std::pow(o.gamma, static_cast<double>(step));
    return o.min_lr + (lr - o.min_lr) * height * scale;
  };
}

void register_cyclic(ScheduleRegistry& registry) {
  add_schedule(
      registry,
      {.name = "cyclic",
       .help = "up to the rate and down to min_lr, again and again (Smith 2017)",
       .options = {number_option("min_lr", 0, "rate at the bottom"),
                   {.key = "step_size_up",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{2000},
                    .help = "steps of a rise",
                    .min = 1},
                   {.key = "step_size_down",
                    .type = OptionType::integer,
                    .help = "steps of a fall; default: as many as of a rise",
                    .min = 1},
                   {.key = "mode",
                    .type = OptionType::text,
                    .fallback = std::string("triangular"),
                    .help = "triangular: all cycles alike; triangular2: each half as high as the "
                            "one before; exp_range: times gamma^step",
                    .choices = {"triangular", "triangular2", "exp_range"}},
                   number_option("gamma", 1, "factor of each step in the mode exp_range")},
       .make = [](const Options& o, const RunLength& run) {
         const auto& mode = o.text("mode");
         return cyclic(run.lr,
                       {.min_lr = o.number("min_lr"),
                        .step_size_up = o.integer("step_size_up"),
                        .step_size_down = o.has("step_size_down") ? o.integer("step_size_down") : 0,
                        .mode = mode == "triangular"    ? Cycles::triangular
                                : mode == "triangular2" ? Cycles::triangular2
                                                        : Cycles::exp_range,
                        .gamma = o.number("gamma")});
       }});
}

}  // namespace descent::optim
