// Loss spikes: three times within 500 steps a batch has a loss eight deviations above the running
// mean, more than twice as high, and higher than half of what the run began with (near 0 every hard
// batch is a spike). Mean and deviation are exponential ones over about fifty steps; no loss counts
// in them as more than three deviations above the mean, so that a bad row that comes by in every
// epoch does not hide itself. A rise that lasts is one spike, however long it is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr double kDecay = 0.98, kMost = 3;                                  // deviations
constexpr std::int64_t kFirst = 10, kBegin = 50, kSpan = 500, kBurst = 20;  // steps
constexpr std::size_t kSpikes = 3;

class LossSpike final : public Rule {
 public:
  explicit LossSpike(double deviations) : deviations_(deviations) {}

  void step(const StepSeen& seen, Findings& findings) override {
    const bool spike = count_ >= kBegin && seen.loss > mean_ + deviations_ * std::sqrt(variance_) &&
                       seen.loss > 2 * mean_ && seen.loss > 0.5 * seen.first_loss;
    // What happens within a few steps of a spike belongs to it.
    const bool fresh = spike && (last_ == 0 || seen.step > last_ + kBurst);
    if (spike) last_ = seen.step;
    if (fresh) steps_.push_back(seen.step);
    const auto forgotten =
        std::erase_if(steps_, [&](std::int64_t step) { return step <= seen.step - kSpan; });
    // So the mean follows a lasting rise slowly, which then is none any more.
    const double most =
        count_ < kFirst ? seen.loss : mean_ + std::max(kMost * std::sqrt(variance_), 0.1 * mean_);
    const double loss = std::min(seen.loss, most);
    const double keep =
        std::min(kDecay, static_cast<double>(count_) / static_cast<double>(count_ + 1));
    const double change = loss - mean_;
    mean_ += (1 - keep) * change;
    variance_ = keep * (variance_ + (1 - keep) * change * change);
    ++count_;
    if (!fresh && forgotten == 0) return;  // nothing is new
    findings.check("", steps_.size() >= kSpikes, 1, [&](std::int64_t) {
      return Words{.layer = {},
                   .text = fmt::format("the loss spikes: {:.3g} at step {} where {:.3g} is usual, "
                                       "the {}rd time in {} steps (at {})",
                                       seen.loss, seen.step, mean_, steps_.size(), kSpan,
                                       fmt::join(steps_, ", ")),
                   .remedy = "try --set optimizer.clip_norm=1 or a learning rate below " +
                             rounded_rate(seen.lr / 3) + ", and look at the rows of these batches",
                   .evidence = {{"steps", steps_},
                                {"loss", seen.loss},
                                {"mean", mean_},
                                {"deviation", std::sqrt(variance_)}}};
    });
  }

  nlohmann::json memory() const override { return {count_, mean_, variance_, steps_, last_}; }
  void restore(const nlohmann::json& m) override {
    count_ = m.at(0), mean_ = m.at(1), variance_ = m.at(2);
    m.at(3).get_to(steps_);
    last_ = m.size() > 4 ? m.at(4).get<std::int64_t>() : 0;
  }

 private:
  double deviations_;
  std::int64_t count_ = 0, last_ = 0;  // step of the last spike
  double mean_ = 0, variance_ = 0;
  std::vector<std::int64_t> steps_;
};

}  // namespace

void register_loss_spike(HealthRegistry& registry) {
  registry.add({.name = "loss_spike",
                .help = "single batches have a very high loss",
                .options = {{.key = "loss_spike",
                             .type = OptionType::number,
                             .fallback = 8.0,
                             .help = "loss_spike: deviations above the running mean that make a "
                                     "spike",
                             .min = 0}},
                .make = [](const Options& o) {
                  return std::make_unique<LossSpike>(o.number("loss_spike"));
                }});
}

}  // namespace descent::train
