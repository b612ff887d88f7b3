// One cycle, as torch.optim.lr_scheduler.OneCycleLR (with cycle_momentum=False): phases that end at
// given steps, each an anneal(from, to, part) along half a cosine or a line.
//
//   two phases:   to pct_start * steps - 1: lr / div_factor -> lr
//                 to steps - 1:             lr -> lr / div_factor / final_div_factor
//   three_phase:  the second goes back to lr / div_factor, at 2 pct_start * steps - 2
#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/base/error.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

struct Phase {
  double end;  // step
  double from, to;
};

double anneal(Anneal how, const Phase& phase, double part) {
  if (how == Anneal::linear) return phase.from + (phase.to - phase.from) * part;
  const double sine = std::sin(std::numbers::pi * part / 2);  // (1 - cos 2x) / 2
  const double cosine = std::cos(std::numbers::pi * part / 2);
  return phase.from * cosine * cosine + phase.to * sine * sine;
}

}  // namespace

Schedule one_cycle(double lr, std::int64_t steps, OneCycleOptions o) {
  require_positive("one_cycle schedule", "steps", static_cast<double>(steps));
  require_fraction("one_cycle schedule", "pct_start", o.pct_start);
  require_positive("one_cycle schedule", "div_factor", o.div_factor);
  require_positive("one_cycle schedule", "final_div_factor", o.final_div_factor);
  if (o.three_phase && o.pct_start > 0.5) {
    throw Error(ErrorKind::usage, "three phases need a pct_start of at most 0.5",
                "one_cycle schedule");
  }
  const double low = lr / o.div_factor, least = low / o.final_div_factor;
  const double last = static_cast<double>(steps - 1);
  const double rise = o.pct_start * static_cast<double>(steps) - 1;
  std::vector<Phase> phases{{rise, low, lr}};
  if (o.three_phase) phases.push_back({2 * rise, lr, low});
  phases.push_back({last, o.three_phase ? low : lr, least});

  return [=](std::int64_t step) {
    const double at = std::min(static_cast<double>(step), last);
    double start = 0;
    for (const auto& phase : phases) {
      if (at <= phase.end || &phase == &phases.back()) {
        const double length = phase.end - start;
        return anneal(o.anneal, phase, length > 0 ? (at - start) / length : 1);
      }
      start = phase.end;
    }
    return least;
  };
}

void register_one_cycle(ScheduleRegistry& registry) {
  add_schedule(
      registry,
      {.name = "one_cycle",
       .help = "up to the rate, then down to almost nothing (Smith & Topin 2018)",
       .options = {number_option("pct_start", 0.3, "part of the steps in which the rate rises", 0,
                                 1),
                   number_option("div_factor", 25, "the first rate is lr / div_factor"),
                   number_option("final_div_factor", 1e4,
                                 "the last is the first / final_div_factor"),
                   {.key = "anneal",
                    .type = OptionType::text,
                    .fallback = std::string("cosine"),
                    .help = "shape of the rise and fall",
                    .choices = {"cosine", "linear"}},
                   boolean_option("three_phase",
                                  "fall to the first rate as slowly as it rose, then to the last"),
                   decay_steps_option()},
       .make = [](const Options& o, const RunLength& run) {
         return one_cycle(run.lr, decay_steps(o, run),
                          {.pct_start = o.number("pct_start"),
                           .div_factor = o.number("div_factor"),
                           .final_div_factor = o.number("final_div_factor"),
                           .anneal = o.text("anneal") == "linear" ? Anneal::linear : Anneal::cosine,
                           .three_phase = o.boolean("three_phase")});
       }});
}

}  // namespace descent::optim
