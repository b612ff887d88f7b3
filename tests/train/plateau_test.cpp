// ReduceLROnPlateau against PyTorch's rates for given metrics (tests/golden/schedule_golden.py).
#include "descent/train/plateau.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;

nlohmann::json golden() {
  return nlohmann::json::parse(std::ifstream(DESCENT_GOLDEN_DIR "/optim/plateau.json"));
}

train::PlateauOptions options_of(const nlohmann::json& row) {
  const auto& o = row.at("options");
  return {.factor = o.value("factor", 0.1),
          .patience = o.value("patience", 10),
          .threshold = o.value("threshold", 1e-4),
          .relative = o.value("threshold_mode", "rel") == "rel",
          .cooldown = o.value("cooldown", 0),
          .min_lr = o.value("min_lr", 0.0),
          .eps = o.value("eps", 1e-8),
          .larger_is_better = row.at("metric") == "accuracy",
          .lr = row.at("lr")};
}

TEST(Plateau, RatesAreThoseOfPyTorch) {
  const auto json = golden();
  for (const auto& [name, row] : json.items()) {
    const auto factor = std::make_shared<double>(1);
    train::TrainState state;
    const auto values = row.at("values").get<std::vector<double>>(),
               rates = row.at("rates").get<std::vector<double>>();
    const double lr = row.at("lr");
    for (std::size_t t = 0; t < values.size(); ++t) {
      // A checkpoint between any two validations: the counts are all there is.
      state = train::decode(train::encode(state), state, name);
      train::Plateau plateau(options_of(row), factor);
      plateau.restore(state);
      plateau.observe(values[t], state);
      // 1e-14: one rounding for each of at most 24 reductions.
      ASSERT_NEAR(lr * *factor, rates[t], 1e-14 * rates[t]) << name << ", validation " << t;
    }
  }
}

std::vector<std::string> assignments(const std::vector<std::string>& more) {
  std::vector<std::string> all = {
      "data.path=synthetic:spirals", "data.rows=330",       "model.hidden=[4]",
      "schedule.name=plateau",       "schedule.factor=0.5", "schedule.patience=0",
      "schedule.threshold=0.9",      "optimizer.lr=0.01",   "train.epochs=6",
      "train.batch_size=88",         "train.log_every=1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<double> rates(const std::vector<std::string>& more) {
  Recorder recorder;
  run(assignments(more), {}, recorder);
  std::vector<double> all;
  for (const auto& r : recorder.records) {
    if (r.split == "train" && r.values.size() == 3) all.push_back(r.values[1].second);
  }
  return all;
}

// The first validation is the best so far, and no loss is a tenth of it: each one halves the rate.
TEST(Plateau, ReducesTheRateOfARun) {
  const auto seen = rates({});
  ASSERT_EQ(seen.size(), 18u);  // 264 training rows: 3 steps an epoch
  for (std::size_t t = 0; t < seen.size(); ++t) {
    const double halved = t < 3 ? 0 : static_cast<double>(t / 3 - 1);
    EXPECT_DOUBLE_EQ(seen[t], 0.01 * std::pow(0.5, halved)) << t;
  }
}

// Seven steps of warm-up end in the third epoch, whose validation is the first that counts.
TEST(Plateau, BeginsAfterTheWarmup) {
  const auto seen = rates({"schedule.warmup_steps=7"});
  for (std::size_t t = 0; t < seen.size(); ++t) {
    const double warm = std::min(static_cast<double>(t) / 7, 1.0);
    const double halved = t < 9 ? 0 : static_cast<double>(t / 3 - 3);
    EXPECT_DOUBLE_EQ(seen[t], 0.01 * warm * std::pow(0.5, halved)) << t;
  }
}

TEST(Plateau, SaysWhatItNeeds) {
  const auto error_of = [](const std::vector<std::string>& more) -> std::string {
    try {
      rates(more);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({"data.split=[1,0]"}), HasSubstr("there are no validation rows"));
  EXPECT_THAT(error_of({"schedule.metric=acuracy"}), HasSubstr("did you mean \"accuracy\"?"));
}

}  // namespace
}  // namespace descent::test
