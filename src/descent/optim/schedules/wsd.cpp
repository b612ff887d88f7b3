// Warm-up (warmup_steps, as of any schedule), stable, decay: the rate for stable_steps, then down
// to min_lr in decay_steps.
//
//   min_lr + (lr - min_lr) f(p), p: the part of the decay that is done
//   f(p) = 1 - p (linear), (1 + cos(pi p)) / 2 (cosine), 1 - sqrt(p) (sqrt)
//
// Hu et al. 2024, "MiniCPM"; Haegele et al. 2024, "Scaling laws and compute-optimal training beyond
// fixed training durations", for the shapes.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

double left_of(Decay shape, double part) {
  if (shape == Decay::linear) return 1 - part;
  if (shape == Decay::sqrt) return 1 - std::sqrt(part);
  const double root = std::cos(std::numbers::pi * part / 2);
  return root * root;
}

}  // namespace

Schedule wsd(double lr, std::int64_t stable_steps, std::int64_t decay_steps, WsdOptions o) {
  require_not_negative("wsd schedule", "stable_steps", static_cast<double>(stable_steps));
  require_positive("wsd schedule", "decay_steps", static_cast<double>(decay_steps));
  return [=](std::int64_t step) {
    const std::int64_t done = std::max<std::int64_t>(step - stable_steps, 0);
    if (done >= decay_steps) return o.min_lr;
    const double part = static_cast<double>(done) / static_cast<double>(decay_steps);
    return o.min_lr + (lr - o.min_lr) * left_of(o.shape, part);
  };
}

void register_wsd(ScheduleRegistry& registry) {
  add_schedule(
      registry,
      {.name = "wsd",
       .help = "warm-up, stable, decay: the rate for most of the run, then down to min_lr (Hu et "
               "al. 2024)",
       .options = {{.key = "decay_steps",
                    .type = OptionType::integer,
                    .help = "length of the decay; default: decay_fraction of the run",
                    .min = 1},
                   number_option("decay_fraction", 0.1,
                                 "part of the run after the warm-up that "
                                 "decays, where decay_steps is not set",
                                 0, 1),
                   {.key = "stable_steps",
                    .type = OptionType::integer,
                    .help = "steps before the decay; default: what it leaves of the run",
                    .min = 0},
                   {.key = "shape",
                    .type = OptionType::text,
                    .fallback = std::string("linear"),
                    .help = "of the decay: linear, cosine, or sqrt (1 minus the root of its part)",
                    .choices = {"linear", "cosine", "sqrt"}},
                   number_option("min_lr", 0, "rate at the end")},
       .make = [](const Options& o, const RunLength& run) {
         std::int64_t decay = decay_steps(o, run);
         if (!o.has("decay_steps")) {
           const double part = o.number("decay_fraction") * static_cast<double>(decay);
           decay = std::max<std::int64_t>(1, std::llround(part));
         }
         const std::int64_t stable = o.has("stable_steps")
                                         ? o.integer("stable_steps")
                                         : std::max<std::int64_t>(0, run.steps - decay);
         const auto& shape = o.text("shape");
         return wsd(run.lr, stable, decay,
                    {.shape = shape == "linear"   ? Decay::linear
                              : shape == "cosine" ? Decay::cosine
                                                  : Decay::sqrt,
                     .min_lr = o.number("min_lr")});
       }});
}

}  // namespace descent::optim
