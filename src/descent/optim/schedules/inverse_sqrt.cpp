// The rate over the square root of time, t counted from the end of the warm-up:
//
//   lr sqrt(timescale / (timescale + t))
//   hold:  lr sqrt(timescale / max(timescale, t))
//
// After a warm-up of w steps from 0, with timescale = w (the default), the first is the schedule of
// the Transformer, peak * min(s / w, sqrt(w / s)) at step s = w + t (Vaswani et al. 2017,
// "Attention is all you need", whose peak is 1 / sqrt(d_model w)). Without a warm-up, with hold and
// timescale 10,000, it is T5's (Raffel et al. 2020: 1 / sqrt(max(s, 10^4)), so lr = 0.01).
#include <algorithm>
#include <cmath>

#include "descent/optim/rule.h"

namespace descent::optim {

Schedule inverse_sqrt(double lr, std::int64_t timescale, InverseSqrtOptions o) {
  require_positive("inverse_sqrt schedule", "timescale", static_cast<double>(timescale));
  return [=](std::int64_t step) {
    const std::int64_t time = o.hold ? std::max(timescale, step) : timescale + step;
    return lr * std::sqrt(static_cast<double>(timescale) / static_cast<double>(time));
  };
}

void register_inverse_sqrt(ScheduleRegistry& registry) {
  constexpr std::int64_t kUsual = 10'000;  // T5's, for want of a warm-up
  add_schedule(
      registry,
      {.name = "inverse_sqrt",
       .help = "the rate over the square root of time (Vaswani et al. 2017; Raffel et al. 2020)",
       .options = {{.key = "timescale",
                    .type = OptionType::integer,
                    .help = "steps after which the rate has fallen to 0.71 of itself; default: "
                            "warmup_steps, without them 10,000",
                    .min = 1},
                   boolean_option("hold", "keep the rate for timescale steps first, as T5 does")},
       .make = [](const Options& o, const RunLength& run) {
         const auto warmup_steps = o.text("unit") == "step" ? o.integer("warmup_steps") : 0;
         return inverse_sqrt(run.lr,
                             o.has("timescale") ? o.integer("timescale")
                             : warmup_steps > 0 ? warmup_steps
                                                : kUsual,
                             {.hold = o.boolean("hold")});
       }});
}

}  // namespace descent::optim
