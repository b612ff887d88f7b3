// Dead ReLUs: more than half of a layer's units (channels) are 0 for every row of a batch, at five
// looks in a row. Small batches leave units at 0 by chance: below 128 rows the share that counts
// rises with each halving, to all units for a single row.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

class DeadRelu final : public Rule {
 public:
  explicit DeadRelu(double share) : share_(share) {}

  void observe(const Observation& seen, Findings& findings) override {
    const double halvings = std::log2(128.0 / static_cast<double>(seen.rows)) / 7;
    const double share = std::min(0.99, share_ + (1 - share_) * std::max(0.0, halvings));
    for (const auto& a : seen.activations) {
      if (a.dead < 0) continue;
      findings.check(a.name, a.dead > share, 5, [&](std::int64_t since) {
        return Words{.layer = a.name,
                     .text = fmt::format("{}: {} of the units dead (0 for all {} rows) since step "
                                         "{}",
                                         a.label(), percent(a.dead), seen.rows, since),
                     .remedy = fmt::format("try a learning rate below {}, He initialisation with "
                                           "biases of 0, or leaky_relu",
                                           rounded_rate(seen.lr / 3)),
                     .evidence = {{"dead", a.dead}, {"rows", seen.rows}, {"threshold", share}}};
      });
    }
  }

 private:
  double share_;
};

}  // namespace

void register_dead_relu(HealthRegistry& registry) {
  registry.add(
      {.name = "dead_relu",
       .help = "most units of a ReLU layer are always 0",
       .options = {{.key = "dead_relu",
                    .type = OptionType::number,
                    .fallback = 0.5,
                    .help = "dead_relu: share of a layer's units that may be 0 for every "
                            "row of a batch",
                    .min = 0,
                    .max = 1}},
       .make = [](const Options& o) { return std::make_unique<DeadRelu>(o.number("dead_relu")); }});
}

}  // namespace descent::train
