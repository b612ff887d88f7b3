// Saturated activations: three quarters of a hidden tanh or sigmoid layer's outputs lie where the
// derivative is nearly 0 (|tanh| > 0.99, and as far out for a sigmoid). Amazon's debugger waits for
// |x| > 9.4999, where tanh is 1 in float32; learning has stopped long before. The model's output
// may saturate: it is meant to.
#include <fmt/format.h>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

class Saturated final : public Rule {
 public:
  explicit Saturated(double share) : share_(share) {}

  void observe(const Observation& seen, Findings& findings) override {
    for (const auto& a : seen.activations) {
      if (a.saturated < 0 || a.last) continue;
      findings.check(a.name, a.saturated > share_, 3, [&](std::int64_t since) {
        return Words{.layer = a.name,
                     .text = fmt::format("{}: {} saturated since step {}", a.label(),
                                         percent(a.saturated), since),
                     .remedy = fmt::format("try Glorot initialisation or a learning rate below {}",
                                           rounded_rate(seen.lr / 3)),
                     .evidence = {{"saturated", a.saturated}, {"threshold", share_}}};
      });
    }
  }

 private:
  double share_;
};

}  // namespace

void register_saturated(HealthRegistry& registry) {
  registry.add({.name = "saturated",
                .help = "most outputs of a tanh or sigmoid layer are at their limits",
                .options = {{.key = "saturated",
                             .type = OptionType::number,
                             .fallback = 0.75,
                             .help = "saturated: share of a layer's outputs that may be at the "
                                     "limits of tanh or sigmoid",
                             .min = 0,
                             .max = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<Saturated>(o.number("saturated"));
                }});
}

}  // namespace descent::train
