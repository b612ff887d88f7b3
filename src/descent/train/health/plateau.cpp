// Plateau: for ten epochs the training loss has not come down by a thousandth. A note, no warning:
// a run that has converged looks the same. Not told at the end of a schedule, nor where the rows
// are fitted all but perfectly.
#include <fmt/format.h>

#include <cmath>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

class Plateau final : public Rule {
 public:
  explicit Plateau(std::int64_t epochs) : epochs_(epochs) {}

  void epoch(const EpochSeen& seen, Findings& findings) override {
    if (best_epoch_ == 0 || seen.train_loss < best_ - 1e-3 * std::abs(best_)) {
      best_ = seen.train_loss;
      best_epoch_ = seen.epoch;
    }
    const bool holds = seen.epoch - best_epoch_ >= epochs_ && seen.lr > 0.1 * seen.base_lr &&
                       std::abs(best_) > 0.01 * std::abs(seen.first_loss);
    findings.check("", holds, 1, [&](std::int64_t) {
      return Words{.layer = {},
                   .text = fmt::format("the training loss has stood at {:.4g} since epoch {}",
                                       best_, best_epoch_),
                   .remedy =
                       "stop here, or try a schedule (schedule.name = \"cosine\") or a "
                       "learning rate below " +
                       rounded_rate(seen.lr / 3),
                   .evidence = {{"best", best_},
                                {"best_epoch", best_epoch_},
                                {"loss", seen.train_loss},
                                {"epochs", epochs_}}};
    });
  }

  nlohmann::json memory() const override { return {best_, best_epoch_}; }
  void restore(const nlohmann::json& m) override { best_ = m.at(0), best_epoch_ = m.at(1); }

 private:
  std::int64_t epochs_, best_epoch_ = 0;
  double best_ = 0;
};

}  // namespace

void register_plateau(HealthRegistry& registry) {
  registry.add(
      {.name = "plateau",
       .help = "the training loss stands still",
       .options = {{.key = "plateau",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{10},
                    .help = "plateau: epochs without a lower training loss",
                    .min = 1}},
       .make = [](const Options& o) { return std::make_unique<Plateau>(o.integer("plateau")); }});
}

}  // namespace descent::train
