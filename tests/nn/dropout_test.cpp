// Dropout: rate, mean, and what its draw depends on. n = 40,000 draws.
#include <gmock/gmock.h>

#include "descent/nn/layers.h"
#include "tests/nn/harness.h"

namespace descent::nn::test {
namespace {

constexpr std::int64_t kRows = 400, kColumns = 100, kDraws = kRows * kColumns;
constexpr double kRate = 0.3;

// Ones through `model` (of dropouts) with the given key.
Array dropped(const Layer& model, std::int64_t key, int shards = 1, bool training = true) {
  const EagerScope eager({.shards = shards});
  const auto ones = mapped(Array(DType::float64, {kRows, kColumns}), [](double) { return 1.0; });
  Scope scope({}, training, scalar(static_cast<double>(key), DType::int64), DType::float64);
  return whole((*model)(scope, leaf(ones, true, shards)), shards);
}

int zeros_in(const Array& x) {
  const auto all = x.to_vector();
  return static_cast<int>(std::ranges::count(all, 0.0));
}

TEST(Dropout, DropsAtItsRateAndKeepsTheMean) {
  const auto y = dropped(dropout(kRate), 1);
  // Binomial: 12,000 +- 92; five deviations.
  const double deviation = std::sqrt(kDraws * kRate * (1 - kRate));
  EXPECT_NEAR(zeros_in(y), kDraws * kRate, 5 * deviation);
  // Each number is 0 or 1 / (1 - rate), so that the mean is the number of kept ones by kDraws /
  // 0.7.
  double sum = 0;
  for (const double x : y.to_vector()) {
    EXPECT_TRUE(x == 0 || x == 1 / (1 - kRate)) << x;
    sum += x;
  }
  EXPECT_NEAR(sum / kDraws, 1, 5 * deviation / (1 - kRate) / kDraws);
}

TEST(Dropout, IsAFunctionOfKeyAndName) {
  const auto named = [](int place) {
    std::vector<Layer> layers(static_cast<std::size_t>(place), identity());
    layers.push_back(dropout(kRate));
    return sequential(std::move(layers));
  };
  EXPECT_TRUE(identical(dropped(named(0), 5), dropped(named(0), 5)));
  // Independent draws agree in 1 - 2 rate (1 - rate) = 58 % of the places, 23,200 +- 99.
  const auto agreeing = [](const Array& a, const Array& b) {
    double count = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) count += a.item(i) == b.item(i);
    return count;
  };
  const double chance = 1 - 2 * kRate * (1 - kRate);
  const double five = 5 * std::sqrt(kDraws * chance * (1 - chance));
  EXPECT_NEAR(agreeing(dropped(named(0), 5), dropped(named(0), 6)), kDraws * chance, five);
  EXPECT_NEAR(agreeing(dropped(named(0), 5), dropped(named(1), 5)), kDraws * chance, five);
}

// Two in a row draw independently: 1 - 0.7^2 of the numbers are zero.
TEST(Dropout, LayersDrawIndependently) {
  const double rate = 1 - (1 - kRate) * (1 - kRate);
  EXPECT_NEAR(zeros_in(dropped(sequential(dropout(kRate), dropout(kRate)), 5)), kDraws * rate,
              5 * std::sqrt(kDraws * rate * (1 - rate)));
}

// The draw is one of the whole batch: shards cut it and do not repeat it.
TEST(Dropout, DoesNotDependOnTheShards) {
  EXPECT_TRUE(identical(dropped(dropout(kRate), 5, 4), dropped(dropout(kRate), 5, 1)));
}

TEST(Dropout, LetsAllThroughInEvaluationAndAtRateZero) {
  EXPECT_EQ(zeros_in(dropped(dropout(kRate), 5, 1, false)), 0);
  EXPECT_EQ(zeros_in(dropped(dropout(0), 5)), 0);
}

}  // namespace
}  // namespace descent::nn::test
