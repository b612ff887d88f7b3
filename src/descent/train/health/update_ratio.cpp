// Update-to-weight ratio: |update| / |weight| of a layer, about 1e-3 in a healthy run. Outside of
// 1e-8 .. 10 (Amazon's debugger) for three looks it is told at once; beyond 0.3, or below 1e-6
// while the gradient is not, only when the mean of the logarithm over twenty looks says so. Small
// ones count only while the schedule has the rate near its base: at its end they are meant.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kLooks = 20;
constexpr double kLarge = 0.3, kSmall = 1e-6, kVanished = 1e-7;

class UpdateRatio final : public Rule {
 public:
  UpdateRatio(double low, double high) : low_(low), high_(high) {}

  void observe(const Observation& seen, Findings& findings) override {
    if (first_gradient_ < 0) first_gradient_ = seen.gradient_norm;
    base_ = std::max(base_, seen.lr);
    const bool full_rate = seen.lr > 0.1 * base_;
    const bool descends = seen.gradient_norm > 0.01 * first_gradient_;
    for (const auto& p : seen.parameters) {
      if (!p.matrix || p.weight_norm == 0 || p.update_norm == 0) continue;
      const double ratio = p.update_ratio();
      Mean& mean = means_[p.name];
      const auto weight = static_cast<double>(std::min(mean.count, kLooks - 1));
      mean.value = (mean.value * weight + std::log10(ratio)) / (weight + 1);
      ++mean.count;
      const bool long_enough = mean.count >= kLooks;
      const bool large =
          ratio > high_ || (long_enough && mean.value > std::log10(kLarge) && ratio > kLarge);
      const bool small =
          full_rate && descends &&
          (ratio < low_ || (long_enough && mean.value < std::log10(kSmall) && ratio < kSmall));
      findings.check(p.name, large || small, 3, [&](std::int64_t since) {
        return Words{.layer = p.layer(),
                     .text = fmt::format("layer {}: each update is {:.1e} of the weights (about "
                                         "1e-3 is usual), since step {}",
                                         p.layer(), ratio, since),
                     .remedy = ratio > 1e-3 ? fmt::format("try a learning rate below {}",
                                                          rounded_rate(seen.lr * 0.01 / ratio))
                                            : fmt::format("try a learning rate of {}",
                                                          rounded_rate(seen.lr * 1e-3 / ratio)),
                     .evidence = {{"parameter", p.name},
                                  {"update_ratio", ratio},
                                  {"mean_log10", mean.value},
                                  {"low", low_},
                                  {"high", high_}}};
      });
    }
  }

  nlohmann::json memory() const override {
    nlohmann::json means = nlohmann::json::object();
    for (const auto& [name, mean] : means_) means[name] = {mean.value, mean.count};
    return {first_gradient_, base_, std::move(means)};
  }
  void restore(const nlohmann::json& m) override {
    first_gradient_ = m.at(0);
    base_ = m.at(1);
    means_.clear();
    for (const auto& [name, mean] : m.at(2).items())
      means_[name] = {.value = mean.at(0), .count = mean.at(1)};
  }

 private:
  struct Mean {
    double value = 0;
    std::int64_t count = 0;
  };
  double low_, high_, first_gradient_ = -1, base_ = 0;
  std::map<std::string, Mean> means_;
};

}  // namespace

void register_update_ratio(HealthRegistry& registry) {
  registry.add({.name = "update_ratio",
                .help = "updates are too large or too small for the weights",
                .options = {{.key = "update_ratio_low",
                             .type = OptionType::number,
                             .fallback = 1e-8,
                             .help = "update_ratio: |update| / |weight| below which a layer "
                                     "stands still",
                             .min = 0},
                            {.key = "update_ratio_high",
                             .type = OptionType::number,
                             .fallback = 10.0,
                             .help = "update_ratio: above which updates tear the weights apart",
                             .min = 0}},
                .make = [](const Options& o) {
                  return std::make_unique<UpdateRatio>(o.number("update_ratio_low"),
                                                       o.number("update_ratio_high"));
                }});
}

}  // namespace descent::train
