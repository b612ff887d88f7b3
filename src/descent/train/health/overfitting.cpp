// Overfitting: for three validations in a row the loss is more than 10 % (Amazon's debugger) above
// the training loss and above its own best, which none of the last three has reached, while the
// training loss still falls. Near 0 everything is far above the best: the rise must be a twentieth
// of what the run began with.
#include <fmt/format.h>

#include <cmath>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kStale = 3;
constexpr double kRise = 0.05;

class Overfitting final : public Rule {
 public:
  explicit Overfitting(double gap) : gap_(gap) {}

  void epoch(const EpochSeen& seen, Findings& findings) override {
    if (std::isnan(seen.valid_loss)) return;
    if (best_epoch_ == 0 || seen.valid_loss < best_) {
      best_ = seen.valid_loss;
      best_epoch_ = seen.epoch;
      train_then_ = seen.train_loss;
      stale_ = 0;
    } else {
      ++stale_;
    }
    const bool holds = best_ > 0 && stale_ >= kStale && seen.valid_loss > (1 + gap_) * best_ &&
                       seen.valid_loss > (1 + gap_) * seen.train_loss &&
                       seen.valid_loss - best_ > kRise * seen.first_loss &&
                       seen.train_loss < train_then_;
    findings.check("", holds, 3, [&](std::int64_t) {
      return Words{
          .layer = {},
          .text = fmt::format("overfitting since epoch {}: validation loss {:.4g} after {:.4g}, "
                              "training loss {:.4g} after {:.4g}",
                              best_epoch_, seen.valid_loss, best_, seen.train_loss, train_then_),
          .remedy =
              "try early stopping (train.patience), weight decay, dropout, augmentation or "
              "more rows",
          .evidence = {{"valid_loss", seen.valid_loss},
                       {"best_valid_loss", best_},
                       {"best_epoch", best_epoch_},
                       {"train_loss", seen.train_loss},
                       {"gap", gap_}}};
    });
  }

  nlohmann::json memory() const override { return {best_, train_then_, best_epoch_, stale_}; }
  void restore(const nlohmann::json& m) override {
    best_ = m.at(0), train_then_ = m.at(1), best_epoch_ = m.at(2), stale_ = m.at(3);
  }

 private:
  double gap_, best_ = 0, train_then_ = 0;
  std::int64_t best_epoch_ = 0, stale_ = 0;
};

}  // namespace

void register_overfitting(HealthRegistry& registry) {
  registry.add({.name = "overfitting",
                .help = "the validation loss rises while the training loss falls",
                .options = {{.key = "overfitting",
                             .type = OptionType::number,
                             .fallback = 0.1,
                             .help = "overfitting: part by which the validation loss may lie above "
                                     "its best and above the training loss",
                             .min = 0}},
                .make = [](const Options& o) {
                  return std::make_unique<Overfitting>(o.number("overfitting"));
                }});
}

}  // namespace descent::train
