// Exploding gradient, in two ways.
//
// In time: for twenty steps the gradient's norm stays above a hundred times what it was in the
// first fifty, and the loss is worse than at the beginning. Steps are taken ten at a time, of each
// ten the smallest norm, so that a single outlier is none.
//
// On its way back through the layers, or through the steps of a recurrent one (Bengio, Simard &
// Frasconi 1994; Pascanu, Mikolov & Bengio 2013): at three looks in a row, or at one where it is a
// million times, a layer has a hundred times the gradient of the last layer, while the loss gets
// no better. Such a net may have been like this from the first step on.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kWindow = 10, kReference = 5;  // steps; windows
constexpr double kAtOnce = 1e6;                       // of the last layer's gradient
constexpr double kLearns = 0.9;                       // of the loss that the run began with

class ExplodingGradient final : public Rule {
 public:
  explicit ExplodingGradient(double factor) : factor_(factor) {}

  void observe(const Observation& seen, Findings& findings) override {
    const auto largest =
        std::ranges::max_element(seen.parameters, {}, &ParameterSeen::gradient_norm);
    if (largest == seen.parameters.end()) return;
    layer_ = largest->layer();
    const ParameterSeen* last = nullptr;
    for (const auto& p : seen.parameters) {
      if (p.matrix) last = &p;
    }
    if (last == nullptr) return;
    const double ratio = largest->gradient_norm / last->gradient_norm;
    // Where most units are saturated the gradient of the last layer says nothing.
    const bool holds = largest->layer() != last->layer() && ratio > factor_ &&
                       seen.loss > kLearns * first_loss_ && seen.most_silent() <= 0.5;
    if (holds) explodes_ = layer_;  // which its end names too
    findings.check("layers", holds, ratio > kAtOnce ? 1 : 3, [&](std::int64_t since) {
      return Words{
          .layer = explodes_,
          .text = fmt::format("layer {}: the gradient explodes on its way back, norm {:.3g} where "
                              "the last layer, {}, has {:.3g}, since step {}",
                              explodes_, largest->gradient_norm, last->layer(), last->gradient_norm,
                              since),
          .remedy =
              "try --set optimizer.clip_norm=1, smaller initial weights (orthogonal ones in a "
              "recurrent layer), or normalisation layers",
          .evidence = {{"parameter", largest->name},
                       {"gradient_norm", largest->gradient_norm},
                       {"last_layer", last->gradient_norm},
                       {"factor", factor_}}};
    });
  }

  void step(const StepSeen& seen, Findings& findings) override {
    first_loss_ = seen.first_loss;
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
    return {count_, windows_, low_, loss_, reference_, layer_, first_loss_, explodes_};
  }
  void restore(const nlohmann::json& m) override {
    count_ = m.at(0), windows_ = m.at(1), low_ = m.at(2), loss_ = m.at(3), reference_ = m.at(4);
    layer_ = m.at(5);
    if (m.size() > 6) first_loss_ = m.at(6), explodes_ = m.at(7);
  }

 private:
  double factor_;
  std::int64_t count_ = 0, windows_ = 0;
  double low_ = 0, loss_ = 0, reference_ = 0, first_loss_ = 0;
  std::string layer_, explodes_;  // with the largest gradient; that was found
};

}  // namespace

void register_exploding_gradient(HealthRegistry& registry) {
  registry.add({.name = "exploding_gradient",
                .help = "the gradient grows without end",
                .options = {{.key = "exploding_gradient",
                             .type = OptionType::number,
                             .fallback = 100.0,
                             .help = "exploding_gradient: how many times the norm of the first "
                                     "fifty steps, or that of the last layer, the gradient has "
                                     "when it explodes",
                             .min = 1}},
                .make = [](const Options& o) {
                  return std::make_unique<ExplodingGradient>(o.number("exploding_gradient"));
                }});
}

}  // namespace descent::train
