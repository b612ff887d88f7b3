// Targets drawn from the distribution that a loss stands for.
#include <gtest/gtest.h>

#include <cmath>

#include "descent/compile/plan.h"
#include "descent/nn/loss.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

constexpr std::int64_t kRows = 40000;

// What `loss` draws for kRows rows of this prediction.
Array drawn(const Loss& loss, const std::vector<double>& row, bool eager) {
  Array predictions(DType::float64, {kRows, static_cast<std::int64_t>(row.size())});
  for (std::int64_t i = 0; i < predictions.size(); ++i) {
    predictions.set_item(i, row[static_cast<std::size_t>(i) % row.size()]);
  }
  const Fn f = [&](ValueSpan in) { return Values{loss.sample(in[0], in[1])}; };
  const std::vector<Array> in{predictions, Array::scalar<std::int64_t>(17)};
  if (!eager) return evaluate(f, in)[0];
  const EagerScope scope({.shards = 1, .check_finite = true});
  return f(Values{computed({in[0]}, false), computed({in[1]}, false)})[0].array();
}

// Four standard deviations of a frequency, each at most 0.5 / sqrt(40000).
constexpr double kTolerance = 0.01;

TEST(SampledTargets, OfCrossEntropyHaveTheSoftmaxForFrequency) {
  const std::vector<double> logits{0.5, -1, 2};
  const auto labels = drawn(cross_entropy(), logits, true);
  ASSERT_EQ(labels.dtype(), DType::int64);
  std::vector<double> frequency(3);
  for (const auto label : labels.as<std::int64_t>()) {
    frequency.at(static_cast<std::size_t>(label)) += 1.0 / kRows;
  }
  const double total = std::exp(0.5) + std::exp(-1) + std::exp(2);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(frequency[k], std::exp(logits[k]) / total, kTolerance);
  }
  EXPECT_TRUE(identical(labels, drawn(cross_entropy(), logits, false)));
}

TEST(SampledTargets, OfBinaryCrossEntropyHaveTheSigmoidForFrequency) {
  const auto targets = drawn(binary_cross_entropy(), {1.5, -0.5}, true);
  double sums[2] = {};
  for (std::int64_t i = 0; i < targets.size(); ++i) sums[i % 2] += targets.item(i) / kRows;
  EXPECT_NEAR(sums[0], 1 / (1 + std::exp(-1.5)), kTolerance);
  EXPECT_NEAR(sums[1], 1 / (1 + std::exp(0.5)), kTolerance);
}

// exp(-|p - t|^2 / n): mean p, variance n / 2, and independent.
TEST(SampledTargets, OfSquaredErrorsHaveTheirVariance) {
  const auto targets = drawn(mse(), {3, -1}, true);
  double mean[2] = {}, square[2] = {}, product = 0;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const double a = targets.item(2 * i) - 3, b = targets.item(2 * i + 1) + 1;
    mean[0] += a / kRows, mean[1] += b / kRows;
    square[0] += a * a / kRows, square[1] += b * b / kRows, product += a * b / kRows;
  }
  for (int k = 0; k < 2; ++k) {
    EXPECT_NEAR(mean[k], 0, 0.02);    // four standard deviations: 1 / sqrt(40000)
    EXPECT_NEAR(square[k], 1, 0.03);  // sqrt(2 / 40000)
  }
  EXPECT_NEAR(product, 0, 0.02);
}

TEST(SampledTargets, ExistWhereThereIsADistribution) {
  EXPECT_FALSE(mae().sample);
  EXPECT_FALSE(hinge().sample);
}

}  // namespace
}  // namespace descent::nn
