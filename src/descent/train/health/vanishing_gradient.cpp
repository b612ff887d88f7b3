// Vanishing gradient: the mean of |g| over the elements that are not 0 is below 1e-7 (the threshold
// of Amazon's debugger) in a layer's weights, while another layer's are a thousand times as large.
// Where all gradients are small the model has converged, and where units are dead or saturated that
// is the finding.
#include <fmt/format.h>

#include <set>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr double kBehind = 1e-3;  // of the largest layer's

class VanishingGradient final : public Rule {
 public:
  explicit VanishingGradient(double threshold) : threshold_(threshold) {}

  void observe(const Observation& seen, Findings& findings) override {
    const ParameterSeen* largest = nullptr;
    for (const auto& p : seen.parameters) {
      if (p.matrix && (largest == nullptr || p.mean_gradient > largest->mean_gradient))
        largest = &p;
    }
    if (largest == nullptr) return;
    const bool explained = seen.most_silent() > 0.5;
    for (const auto& p : seen.parameters) {
      if (!p.matrix) continue;
      if (p.gradient_norm > 0) reached_.insert(p.name);
      // Nothing at all from the beginning on is another finding: unchanged.
      const bool holds = !explained && reached_.contains(p.name) && p.mean_gradient < threshold_ &&
                         p.mean_gradient < kBehind * largest->mean_gradient;
      findings.check(p.name, holds, 3, [&](std::int64_t since) {
        return Words{
            .layer = p.layer(),
            .text = fmt::format("layer {}: the gradient vanishes, mean |g| {:.1e} where layer {} "
                                "has {:.1e}, since step {}",
                                p.layer(), p.mean_gradient, largest->layer(),
                                largest->mean_gradient, since),
            .remedy =
                "try fewer layers, ReLU with He or tanh with Glorot initialisation, "
                "normalisation layers or residual connections",
            .evidence = {{"parameter", p.name},
                         {"mean_gradient", p.mean_gradient},
                         {"largest", largest->mean_gradient},
                         {"threshold", threshold_}}};
      });
    }
  }

  nlohmann::json memory() const override { return reached_; }
  void restore(const nlohmann::json& m) override { m.get_to(reached_); }

 private:
  double threshold_;
  std::set<std::string> reached_;  // by a gradient, once
};

}  // namespace

void register_vanishing_gradient(HealthRegistry& registry) {
  registry.add({.name = "vanishing_gradient",
                .help = "a layer gets no gradient while others do",
                .options = {{.key = "vanishing_gradient",
                             .type = OptionType::number,
                             .fallback = 1e-7,
                             .help = "vanishing_gradient: mean |g| of a layer below which its "
                                     "gradient has vanished",
                             .min = 0}},
                .make = [](const Options& o) {
                  return std::make_unique<VanishingGradient>(o.number("vanishing_gradient"));
                }});
}

}  // namespace descent::train
