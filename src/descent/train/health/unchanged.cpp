// Unchanged weights: a layer's weights are the same at four looks (three times unchanged), though
// the rate is not 0. Dead or saturated units and vanishing gradients explain it better where there
// are any, and a model that fits its rows perfectly need not change.
#include <fmt/format.h>

#include <map>
#include <set>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr double kVanished = 1e-7;  // as of vanishing_gradient

class Unchanged final : public Rule {
 public:
  explicit Unchanged(std::int64_t looks) : looks_(looks) {}

  void observe(const Observation& seen, Findings& findings) override {
    if (first_gradient_ < 0) first_gradient_ = seen.gradient_norm;
    const bool explained = seen.most_silent() > 0.5 || seen.gradient_norm < 1e-3 * first_gradient_;
    for (const auto& p : seen.parameters) {
      if (!p.matrix) continue;
      const auto before = norms_.find(p.name);
      // An optimizer that gathers gradients changes weights between looks.
      const bool same = before != norms_.end() && before->second == p.weight_norm;
      norms_[p.name] = p.weight_norm;
      if (p.gradient_norm > 0) reached_.insert(p.name);
      const bool vanished = reached_.contains(p.name) && p.mean_gradient < kVanished;
      const bool holds = same && p.update_norm == 0 && seen.lr > 0 && !explained && !vanished;
      findings.check(p.name, holds, looks_, [&](std::int64_t since) {
        return Words{.layer = p.layer(),
                     .text = fmt::format("layer {}: {} has not changed since step "
                                         "{}, gradient norm {:.2g}",
                                         p.layer(), p.name, since, p.gradient_norm),
                     .remedy = p.gradient_norm > 0
                                   ? "the updates are lost in rounding: try a larger "
                                     "learning rate, or train.precision = float64"
                                   : "nothing the loss sees depends on it: look at "
                                     "how the model uses this layer",
                     .evidence = {{"parameter", p.name},
                                  {"gradient_norm", p.gradient_norm},
                                  {"weight_norm", p.weight_norm}}};
      });
    }
  }

  nlohmann::json memory() const override { return {first_gradient_, norms_, reached_}; }
  void restore(const nlohmann::json& m) override {
    first_gradient_ = m.at(0);
    m.at(1).get_to(norms_);
    m.at(2).get_to(reached_);
  }

 private:
  std::int64_t looks_;
  double first_gradient_ = -1;
  std::set<std::string> reached_;  // by a gradient, once
  std::map<std::string, double> norms_;
};

}  // namespace

void register_unchanged(HealthRegistry& registry) {
  registry.add({.name = "unchanged",
                .help = "a layer's weights do not change",
                .options = {{.key = "unchanged",
                             .type = OptionType::integer,
                             .fallback = std::int64_t{3},
                             .help = "unchanged: looks in a row that may find a layer's weights as "
                                     "they were",
                             .min = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<Unchanged>(o.integer("unchanged"));
                }});
}

}  // namespace descent::train
