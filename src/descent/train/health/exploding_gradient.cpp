// Exploding gradient: for twenty steps the gradient's norm stays above a hundred times what it was
// in the first fifty, and the loss is worse than at the beginning. Steps are taken ten at a time,
// of each ten the smallest norm, so that a single outlier is none.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kWindow = 10, kReference = 5;  // steps; windows

class ExplodingGradient final : public Rule {
 public:
  explicit ExplodingGradient(double factor) : factor_(factor) {}

  void observe(const Observation& seen, Findings&) override {
    const auto largest =
        std::ranges::max_element(seen.parameters, {}, &ParameterSeen::gradient_norm);
    if (largest != seen.parameters.end()) layer_ = largest->layer();
  }

  void step(const StepSeen& seen, Findings& findings) override {
    low_ = count_ == 0 ? seen.gradient_norm : std::min(low_, seen.gradient_norm);
    loss_ = count_ == 0 ? seen.loss : std::min(loss_, seen.loss);
    if (++count_ < kWindow) return;
    count_ = 0;
    if (windows_ < kReference) {
      reference_ =
          (reference_ * static_cast<double>(windows_) + low_) / static_cast<double>(windows_ + 1);
      ++windows_;
      return;
    }
    const bool holds = low_ > factor_ * reference_ && loss_ > seen.first_loss;
    findings.check("", holds, 2, [&](std::int64_t since) {
      return Words{
          .layer = layer_,
          .text = fmt::format("the gradient explodes: norm {:.3g} where it began with "
                              "{:.3g}, most of it in layer {}, since step {}",
                              low_, reference_, layer_, since),
          .remedy = fmt::format("try --set optimizer.clip_norm=1 or a learning rate below "
                                "{}",
                                rounded_rate(seen.lr / 3)),
          .evidence = {{"gradient_norm", low_}, {"reference", reference_}, {"factor", factor_}}};
    });
  }

  nlohmann::json memory() const override {
    return {count_, windows_, low_, loss_, reference_, layer_};
  }
  void restore(const nlohmann::json& m) override {
    count_ = m.at(0), windows_ = m.at(1), low_ = m.at(2), loss_ = m.at(3), reference_ = m.at(4);
    layer_ = m.at(5);
  }

 private:
  double factor_;
  std::int64_t count_ = 0, windows_ = 0;
  double low_ = 0, loss_ = 0, reference_ = 0;
  std::string layer_;
};

}  // namespace

void register_exploding_gradient(HealthRegistry& registry) {
  registry.add({.name = "exploding_gradient",
                .help = "the gradient grows without end",
                .options = {{.key = "exploding_gradient",
                             .type = OptionType::number,
                             .fallback = 100.0,
                             .help = "exploding_gradient: how many times the norm of the first "
                                     "fifty steps the gradient has when it explodes",
                             .min = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<ExplodingGradient>(o.number("exploding_gradient"));
                }});
}

}  // namespace descent::train
