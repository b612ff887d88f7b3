#include "descent/train/lr_find.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/base/threads.h"
#include "descent/train/setup.h"
#include "descent/train/step.h"

namespace descent::train {
namespace {

using Numbers = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kInARow = 3;  // a single bad step is a spike, not an explosion

void check(const LrFindOptions& o) {
  if (!(o.min > 0 && o.max > o.min && std::isfinite(o.max))) {
    throw Error(ErrorKind::usage, fmt::format("rates from {:g} to {:g} are no range", o.min, o.max),
                "lr-find", "--min must be above 0 and --max above --min");
  }
  if ((o.steps != 0 && o.steps < 10) || o.burn_in < 0 || o.repeats < 1 || o.smoothing < 0 ||
      o.smoothing >= 1) {
    throw Error(ErrorKind::usage, "steps, burn-in, repeats or smoothing out of range", "lr-find",
                "at least 10 steps, 1 repeat, smoothing from 0 to below 1");
  }
}

// Tells an explosion: several losses in a row that are far above the first ones, or no numbers.
class Explosion {
 public:
  bool seen(double loss) {
    if (first_.size() < 5 && std::isfinite(loss)) first_.push_back(loss);
    least_ = std::isfinite(loss) ? std::min(least_, loss) : least_;
    Numbers sorted = first_;
    std::ranges::sort(sorted);
    const double level = sorted.empty() ? kInfinity : sorted[sorted.size() / 2];
    const double limit = level + std::max(0.5 * std::abs(level), level - least_);
    bad_ = !std::isfinite(loss) || (first_.size() >= 5 && loss > limit) ? bad_ + 1 : 0;
    return bad_ >= kInARow;
  }

 private:
  Numbers first_;
  double least_ = kInfinity;
  int bad_ = 0;
};

// The losses after a step with each rate; shorter where they explode.
Numbers sweep(Job& job, const LrFindOptions& o, const Numbers& rates, std::int64_t seed,
              const std::shared_ptr<double>& rate) {
  TrainState state = initial_state(job, seed);
  const auto loader = make_loader(job, seed);
  choose_shards(job, *loader, state);
  TrainStep step(job.model, job.loss, job.optimizer, job.variables, state,
                 step_options(job, o.threads));
  *rate = rates.front();
  for (std::int64_t i = 0; i < o.burn_in; ++i) step.run(loader->next());
  Numbers losses;
  Explosion explosion;
  // A step tells the loss before its update: that of the rate before.
  for (std::size_t i = 0; i <= rates.size(); ++i) {
    *rate = rates[std::min(i, rates.size() - 1)];
    const auto result = step.run(loader->next());
    if (i == 0) continue;
    losses.push_back(result.finite() ? result.loss : kInfinity);
    if (explosion.seen(losses.back())) break;
  }
  return losses;
}

// At each rate the median of all sweeps, where one that exploded counts as infinite; as far as most
// of them came.
Numbers median_curve(const std::vector<Numbers>& all, std::size_t size) {
  Numbers out;
  for (std::size_t i = 0; i < size; ++i) {
    Numbers here;
    for (const auto& one : all) here.push_back(i < one.size() ? one[i] : kInfinity);
    std::ranges::sort(here);
    const auto n = here.size();
    const auto there = std::ranges::count_if(all, [&](const auto& one) { return i < one.size(); });
    if (2 * there < std::ssize(all)) break;
    out.push_back(n % 2 == 1 ? here[n / 2] : (here[n / 2 - 1] + here[n / 2]) / 2);
  }
  return out;
}

}  // namespace

LrFound lr_find(Job& job, const LrFindOptions& o) {
  check(o);
  prepare_thread();
  const std::int64_t steps =
      o.steps > 0 ? o.steps : std::clamp<std::int64_t>(job.steps_per_epoch, 100, 200);
  Numbers rates;
  for (std::int64_t t = 0; t < steps; ++t) {
    rates.push_back(
        o.min * std::pow(o.max / o.min, static_cast<double>(t) / static_cast<double>(steps - 1)));
  }
  // A group with a rate of its own keeps its proportion.
  const auto rate = std::make_shared<double>(o.min);
  const double base = job.config.optimizer.number("lr");
  set_schedule(job, [&](double lr) -> optim::Schedule {
    const double part = base > 0 ? lr / base : 1;
    return [rate, part](std::int64_t) { return *rate * part; };
  });
  std::vector<Numbers> all;
  for (int r = 0; r < o.repeats; ++r)
    all.push_back(sweep(job, o, rates, job.config.seed + r, rate));
  const auto curve = median_curve(all, rates.size());
  auto found = suggest_rate(
      std::span(rates).first(curve.size()), curve,
      o.smoothing > 0 ? o.smoothing : std::max(0.0, 1 - 20 / static_cast<double>(rates.size())));
  if (curve.size() < rates.size()) {
    found.ended = fmt::format("the loss exploded at {:.3g}", rates[curve.size() - 1]);
  }
  return found;
}

}  // namespace descent::train
