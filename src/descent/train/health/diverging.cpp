// Diverging: the loss, as a mean of ten steps, has been above a multiple of what the run began with
// for thirty steps. NaN may follow, or a model that is worse than none.
#include <fmt/format.h>

#include "descent/train/health.h"
#include "descent/train/registry.h"

namespace descent::train {
namespace {

constexpr std::int64_t kWindow = 10, kRows = 32;

class Diverging final : public Rule {
 public:
  explicit Diverging(double factor) : factor_(factor) {}

  void step(const StepSeen& seen, Findings& findings) override {
    if (rows_ < kRows) {  // the mean of as many steps as it takes to have some rows
      start_ = (start_ * static_cast<double>(rows_) + seen.loss * static_cast<double>(seen.rows)) /
               static_cast<double>(rows_ + seen.rows);
      rows_ += seen.rows;
    }
    sum_ += seen.loss;
    if (++count_ < kWindow) return;
    const double mean = sum_ / static_cast<double>(kWindow);
    sum_ = 0;
    count_ = 0;
    findings.check("", start_ > 0 && mean > factor_ * start_, 3, [&](std::int64_t since) {
      return Words{.layer = {},
                   .text = fmt::format("the loss rises: {:.3g} where it began with {:.3g}, since "
                                       "step {}",
                                       mean, start_, since),
                   .remedy = fmt::format("try a learning rate below {} or --set "
                                         "optimizer.clip_norm=1",
                                         rounded_rate(seen.lr / 10)),
                   .evidence = {{"loss", mean}, {"first_loss", start_}, {"factor", factor_}}};
    });
  }

  nlohmann::json memory() const override { return {count_, sum_, start_, rows_}; }
  void restore(const nlohmann::json& m) override {
    count_ = m.at(0), sum_ = m.at(1), start_ = m.at(2), rows_ = m.at(3);
  }

 private:
  double factor_;
  std::int64_t count_ = 0, rows_ = 0;
  double sum_ = 0, start_ = 0;
};

}  // namespace

void register_diverging(HealthRegistry& registry) {
  registry.add(
      {.name = "diverging",
       .help = "the loss rises above where it began",
       .options = {{.key = "diverging",
                    .type = OptionType::number,
                    .fallback = 2.0,
                    .help = "diverging: how many times the loss of the first rows is too much",
                    .min = 1}},
       .make = [](const Options& o) {
         return std::make_unique<Diverging>(o.number("diverging"));
       }});
}

}  // namespace descent::train
