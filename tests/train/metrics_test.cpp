// Values from scikit-learn 1.x's definitions, worked by hand on small tables.
#include "descent/train/metrics.h"

#include <gmock/gmock.h>

#include <cmath>

namespace descent::train {
namespace {

TEST(Classification, TwoClasses) {
  // Scores z1 - z0: 2, -1, 0.5, -2, 0.5 with labels 1, 1, 0, 0, 1: predicted 1, 0, 1, 0, 1.
  const Array logits = Array::from<float>({0, 2, 0, -1, 0, 0.5, 0, -2, 0, 0.5}, {5, 2});
  const Array labels = Array::from<std::int64_t>({1, 1, 0, 0, 1}, {5});
  const auto m = classification_metrics(logits, labels, {});
  EXPECT_DOUBLE_EQ(value_of(m, "accuracy"), 0.6);
  EXPECT_DOUBLE_EQ(value_of(m, "precision"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(value_of(m, "recall"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(value_of(m, "f1"), 2.0 / 3);
  // Pairs (positive, negative): 2 > .5, 2 > -2, -1 < .5, -1 > -2, .5 = .5 (half), .5 > -2: 4.5
  // of 6.
  EXPECT_DOUBLE_EQ(value_of(m, "auc"), 0.75);
  const auto p = [](double z) { return std::log(1 + std::exp(z)); };
  EXPECT_NEAR(value_of(m, "log_loss"), (p(-2) + p(1) + p(0.5) + p(-2) + p(-0.5)) / 5, 1e-12);
}

TEST(Classification, OneLogitEqualsTwo) {
  const Array two = Array::from<float>({0, 2, 0, -1, 0, 0.5}, {3, 2}),
              one = Array::from<float>({2, -1, 0.5}, {3, 1});
  const Array labels = Array::from<std::int64_t>({1, 0, 0}, {3});
  EXPECT_EQ(classification_metrics(two, labels, {}), classification_metrics(one, labels, {}));
}

TEST(Classification, WeightsAreRepeatedRows) {
  const Array logits = Array::from<float>({1, 0, 0, 1, 1, 0}, {3, 2}),
              labels = Array::from<std::int64_t>({0, 0, 1}, {3});
  const Array weights = Array::from<float>({2, 1, 0}, {3});
  const Array repeated = Array::from<float>({1, 0, 1, 0, 0, 1}, {3, 2}),
              same = Array::from<std::int64_t>({0, 0, 0}, {3});
  const auto a = classification_metrics(logits, labels, weights),
             b = classification_metrics(repeated, same, {});
  EXPECT_DOUBLE_EQ(value_of(a, "accuracy"), value_of(b, "accuracy"));
  EXPECT_DOUBLE_EQ(value_of(a, "log_loss"), value_of(b, "log_loss"));
  EXPECT_TRUE(std::isnan(value_of(a, "auc"))) << "one class has no rows with weight";
}

TEST(Classification, ManyClassesAverageAndTopFive) {
  Array logits(DType::float32, {2, 12});
  for (int k = 0; k < 12; ++k) logits.set_item(k, k), logits.set_item(12 + k, -k);
  const Array labels = Array::from<std::int64_t>({8, 6}, {2});
  const auto m = classification_metrics(logits, labels, {});
  EXPECT_DOUBLE_EQ(value_of(m, "accuracy"), 0);
  EXPECT_DOUBLE_EQ(value_of(m, "top5"),
                   0.5);  // 8 is fourth of the first row, 6 is seventh of the second
}

TEST(Classification, ConfusionCountsWhatWasTakenForWhat) {
  using Rows = std::vector<std::vector<double>>;
  const Array logits = Array::from<float>({1, 0, 0, 0, 2, 1, 0, 3, 0}, {3, 3}),
              labels = Array::from<std::int64_t>({0, 2, 1}, {3});
  EXPECT_EQ(confusion_matrix(logits, labels, {}), (Rows{{1, 0, 0}, {0, 1, 0}, {0, 1, 0}}));
  const Array weights = Array::from<float>({2, 0.5, 1}, {3});
  EXPECT_EQ(confusion_matrix(logits, labels, weights), (Rows{{2, 0, 0}, {0, 1, 0}, {0, 0.5, 0}}));
  // One logit: above 0 is class 1.
  const Array one = Array::from<float>({1, -1, 2}, {3, 1}),
              two = Array::from<std::int64_t>({1, 1, 0}, {3});
  EXPECT_EQ(confusion_matrix(one, two, {}), (Rows{{0, 1}, {1, 1}}));
}

TEST(Regression, ErrorsAndDetermination) {
  const Array y = Array::from<double>({1, 2, 3, 4}, {4, 1}),
              f = Array::from<double>({1, 2, 3, 6}, {4, 1});
  const auto m = regression_metrics(f, y, {});
  EXPECT_DOUBLE_EQ(value_of(m, "rmse"), 1);
  EXPECT_DOUBLE_EQ(value_of(m, "mae"), 0.5);
  EXPECT_DOUBLE_EQ(value_of(m, "r2"), 1 - 4.0 / 5);
}

TEST(Direction, OfImprovement) {
  EXPECT_TRUE(larger_is_better("accuracy"));
  EXPECT_FALSE(larger_is_better("loss"));
  EXPECT_FALSE(larger_is_better("rmse"));
}

}  // namespace
}  // namespace descent::train
