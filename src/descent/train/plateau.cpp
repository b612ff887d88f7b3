#include "descent/train/plateau.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/train/metrics.h"

namespace descent::train {
namespace {

bool wanted(const Config& config) { return config.schedule.text("name") == "plateau"; }

}  // namespace

Plateau::Plateau(const Config& config, bool validates, std::shared_ptr<double> factor)
    : on_(wanted(config)), factor_(std::move(factor)) {
  if (!on_) return;
  const Options& o = config.schedule;
  if (!validates) {
    throw Error(ErrorKind::usage,
                "the schedule \"plateau\" follows the validation, but there are "
                "no validation rows",
                "[schedule]", "give data.split a part for it, or data.valid_path");
  }
  metric_ = o.has("metric") ? o.text("metric") : config.train.text("monitor");
  warmup_steps_ = o.integer("warmup_steps");
  options_ = {.factor = o.number("factor"),
              .patience = o.integer("patience"),
              .threshold = o.number("threshold"),
              .relative = o.text("threshold_mode") == "rel",
              .cooldown = o.integer("cooldown"),
              .min_lr = o.number("min_lr"),
              .eps = o.number("eps"),
              .larger_is_better = larger_is_better(metric_),
              .lr = config.optimizer.number("lr")};
}

Plateau::Plateau(PlateauOptions options, std::shared_ptr<double> factor)
    : options_(options), factor_(std::move(factor)) {}

bool Plateau::better(double value, double best) const {
  if (std::isnan(best)) return !std::isnan(value);
  const double sign = options_.larger_is_better ? 1 : -1;
  const double change = options_.threshold * (options_.relative ? best : 1.0);
  return options_.larger_is_better ? value > best + sign * change : value < best + sign * change;
}

bool Plateau::observe(const Metrics& valid, TrainState& state) {
  if (!on_) return false;
  const auto found = std::ranges::find(valid, metric_, &Metrics::value_type::first);
  if (found == valid.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unused] : valid) names.push_back(name);
    throw Error(
        ErrorKind::usage,
        fmt::format("schedule.metric is \"{}\", which is not a metric of this run", metric_),
        "[schedule]", did_you_mean(metric_, names));
  }
  return state.step > warmup_steps_ && observe(found->second, state);
}

bool Plateau::observe(double value, TrainState& s) {
  if (better(value, s.plateau_best)) {
    s.plateau_best = value;
    s.plateau_stale = 0;
  } else {
    ++s.plateau_stale;
  }
  if (s.plateau_cooldown > 0) {
    --s.plateau_cooldown;
    s.plateau_stale = 0;
  }
  if (s.plateau_stale <= options_.patience) return false;
  s.plateau_stale = 0;
  s.plateau_cooldown = options_.cooldown;
  const double old = options_.lr * s.plateau_factor;
  const double next = std::max(old * options_.factor, options_.min_lr);
  if (!(old - next > options_.eps)) return false;
  s.plateau_factor = std::max(s.plateau_factor * options_.factor, options_.min_lr / options_.lr);
  *factor_ = s.plateau_factor;
  return true;
}

optim::Schedule with_plateau(const Config& config, optim::Schedule schedule,
                             std::shared_ptr<double> factor) {
  if (!wanted(config)) return schedule;
  return [schedule = std::move(schedule), factor = std::move(factor)](std::int64_t step) {
    return schedule(step) * *factor;
  };
}

}  // namespace descent::train
