// Not learning: the loss, as a mean of fifty steps, has not come down for five such means and never
// came more than 2 % below where it began. (Amazon's debugger asks for a decrease every ten steps,
// which the noise of mini-batches does not give.) The steps of a warm-up do not count.
#include <fmt/format.h>

#include <algorithm>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kWindow = 50, kLooks = 5;

class NotLearning final : public Rule {
 public:
  explicit NotLearning(double decrease) : decrease_(decrease) {}

  void step(const StepSeen& seen, Findings& findings) override {
    if (seen.lr < 0.1 * seen.base_lr) return;
    sum_ += seen.loss;
    if (++count_ < kWindow) return;
    const double mean = sum_ / static_cast<double>(kWindow);
    sum_ = 0;
    count_ = 0;
    const bool better = !begun_ || mean < best_ - 0.002 * std::abs(best_);
    if (better) best_ = mean, begun_ = true;
    const bool learnt = best_ < seen.first_loss - decrease_ * std::abs(seen.first_loss);
    findings.check("", !better && !learnt, kLooks, [&](std::int64_t since) {
      return Words{.layer = {},
                   .text = fmt::format("the loss does not come down: {:.4g} where it began with "
                                       "{:.4g}, since step {}",
                                       mean, seen.first_loss, since),
                   .remedy = "try another learning rate (now " + rounded_rate(seen.lr) +
                             ") or initialisation, and look whether the features say anything "
                             "about the target",
                   .evidence = {{"loss", mean},
                                {"first_loss", seen.first_loss},
                                {"best", best_},
                                {"decrease", decrease_}}};
    });
  }

  nlohmann::json memory() const override { return {count_, sum_, best_, begun_}; }
  void restore(const nlohmann::json& m) override {
    count_ = m.at(0), sum_ = m.at(1), best_ = m.at(2), begun_ = m.at(3);
  }

 private:
  double decrease_;
  std::int64_t count_ = 0;
  double sum_ = 0, best_ = 0;
  bool begun_ = false;
};

}  // namespace

void register_not_learning(HealthRegistry& registry) {
  registry.add({.name = "not_learning",
                .help = "the loss never came down",
                .options = {{.key = "not_learning",
                             .type = OptionType::number,
                             .fallback = 0.02,
                             .help = "not_learning: part of its first value by which the loss must "
                                     "have come down",
                             .min = 0,
                             .max = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<NotLearning>(o.number("not_learning"));
                }});
}

}  // namespace descent::train
