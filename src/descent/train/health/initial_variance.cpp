// Initial variance: at the first step the deviations of activations of two neighbouring layers
// differ by more than a factor of 10, or those of any two by more than its square. The signal then
// dies out or blows up on its way through the model. (10 is the threshold of Amazon's debugger, for
// the variances of weights, which differ by design where widths do; so activations are compared.)
#include <fmt/format.h>

#include <algorithm>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

class InitialVariance final : public Rule {
 public:
  explicit InitialVariance(double ratio) : ratio_(ratio) {}

  void observe(const Observation& seen, Findings& findings) override {
    if (seen.step != 1) return;
    const ActivationSeen *before = nullptr, *first = nullptr;
    for (const auto& a : seen.activations) {
      // A layer that is all 0 is dead_relu's.
      if (!(a.deviation > 0) || a.last) continue;
      if (first == nullptr) first = before = &a;
      const bool step = apart(before->deviation, a.deviation, ratio_);
      if (step || apart(first->deviation, a.deviation, ratio_ * ratio_)) {
        const ActivationSeen& from = step ? *before : *first;
        findings.check("", true, 1, [&](std::int64_t) { return words(from, a); });
        return;
      }
      before = &a;
    }
  }

 private:
  static bool apart(double a, double b, double ratio) { return a > ratio * b || b > ratio * a; }

  Words words(const ActivationSeen& from, const ActivationSeen& to) const {
    const bool dies = to.deviation < from.deviation;
    return {.layer = to.name,
            .text = fmt::format("{}: the signal {} in the untrained model, deviation {:.2g} after "
                                "{:.2g} in layer {}",
                                to.label(), dies ? "dies out" : "blows up", to.deviation,
                                from.deviation, from.name),
            .remedy =
                "try He initialisation for ReLU or Glorot for tanh and sigmoid "
                "(init = \"he_normal\"), or normalisation layers",
            .evidence = {{"deviation", to.deviation},
                         {"other_layer", from.name},
                         {"other_deviation", from.deviation},
                         {"threshold", ratio_}}};
  }
  double ratio_;
};

}  // namespace

void register_initial_variance(HealthRegistry& registry) {
  registry.add({.name = "initial_variance",
                .help = "the untrained model loses the signal on its way",
                .options = {{.key = "initial_variance",
                             .type = OptionType::number,
                             .fallback = 10.0,
                             .help = "initial_variance: factor between the deviations of "
                                     "neighbouring layers' activations before the first update",
                             .min = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<InitialVariance>(o.number("initial_variance"));
                }});
}

}  // namespace descent::train
