// Initial values: fans, moments, ranges, orthogonality, and what they may depend on.
#include "descent/nn/initializers.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "descent/base/error.h"

namespace descent::nn {
namespace {

struct Moments {
  double mean, variance, least, most;
};
Moments moments(const Array& array) {
  const auto x = array.to_vector();
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  return {mean, squares / n, *std::ranges::min_element(x), *std::ranges::max_element(x)};
}

TEST(Fans, AreCountedAsInPyTorch) {
  EXPECT_EQ(fans({30, 20}), (std::pair<double, double>{20, 30}));
  EXPECT_EQ(fans({8, 3, 5, 7}), (std::pair<double, double>{3 * 35, 8 * 35}));
  EXPECT_THROW(fans({64}), Error);
}

// What an initializer of a [out, in, ...] shape should have as variance, and how far it may reach.
struct Expected {
  std::string name;
  Initializer init;
  double variance, reach;
};

class Moment : public testing::TestWithParam<Expected> {};

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// fan-in 120 x 9 = 1080, fan-out 60 x 9 = 540.
const Shape kShape{60, 120, 3, 3};

// n = 64800 independent draws: the mean scatters by sqrt(variance / n), the variance by at most
// variance sqrt(2 / n); five times that is passed once in two million.
TEST_P(Moment, IsTheFormulas) {
  const auto& want = GetParam();
  for (const auto dtype : {DType::float32, DType::float64}) {
    const auto array = want.init(dtype, kShape, 5);
    ASSERT_EQ(array.dtype(), dtype);
    ASSERT_EQ(array.shape(), kShape);
    const auto n = static_cast<double>(array.size());
    const auto got = moments(array);
    EXPECT_NEAR(got.mean, 0, 5 * std::sqrt(want.variance / n));
    EXPECT_NEAR(got.variance / want.variance, 1, 5 * std::sqrt(2 / n));
    // Rounding to float32 may pass the bound by half a unit.
    EXPECT_LE(std::max(-got.least, got.most), want.reach * (1 + 1e-7));
    if (want.reach < kInfinite) {
      EXPECT_GT(std::min(-got.least, got.most), 0.99 * want.reach);
    } else {
      EXPECT_GT(std::min(-got.least, got.most), 3 * std::sqrt(want.variance));
    }
  }
}

Expected uniform_row(const std::string& name, Initializer init, double bound) {
  return {name, std::move(init), bound * bound / 3, bound};
}
Expected normal_row(const std::string& name, Initializer init, double variance) {
  return {name, std::move(init), variance, kInfinite};
}

std::string name_of_row(const testing::TestParamInfo<Expected>& row) { return row.param.name; }

// 1 - 2 * 2 phi(2) / (2 Phi(2) - 1): the variance of a normal cut at two deviations.
constexpr double kTruncated = 0.7737413035499232;

INSTANTIATE_TEST_SUITE_P(
    Rows, Moment,
    testing::Values(uniform_row("uniform", uniform(0.3), 0.3),
                    normal_row("normal", normal(0.2), 0.04),
                    Expected{"truncated_normal", truncated_normal(0.2), 0.04 * kTruncated, 0.4},
                    uniform_row("xavier_uniform", xavier_uniform(), std::sqrt(6.0 / 1620)),
                    uniform_row("xavier_uniform_gain", xavier_uniform(2), std::sqrt(24.0 / 1620)),
                    normal_row("xavier_normal", xavier_normal(), 2.0 / 1620),
                    uniform_row("he_uniform", he_uniform(), std::sqrt(6.0 / 1080)),
                    normal_row("he_normal", he_normal(), 2.0 / 1080),
                    normal_row("he_normal_leaky", he_normal(0.5), 2.0 / 1.25 / 1080),
                    uniform_row("torch_default", torch_default(), std::sqrt(1.0 / 1080))),
    name_of_row);

TEST(Initializers, ConstantsAreExact) {
  EXPECT_THAT(zeros()(DType::float32, {3}, 1).to_vector(), testing::Each(0));
  EXPECT_THAT(ones()(DType::float32, {3}, 1).to_vector(), testing::Each(1));
  EXPECT_THAT(constant(0.25)(DType::float64, {3}, 1).to_vector(), testing::Each(0.25));
  EXPECT_NEAR(moments(normal(0.1, 7)(DType::float64, {1000}, 1)).mean, 7, 5 * 0.1 / std::sqrt(1e3));
}

// Rows (of a wide matrix) or columns (of a tall one) are orthonormal up to the rounding of a
// Householder factorisation, some 1e-16 for each of a few dozen reflections.
TEST(Initializers, OrthogonalIsOrthogonal) {
  for (const Shape& shape : {Shape{24, 40}, Shape{40, 24}, Shape{16, 3, 3, 3}, Shape{1, 5}}) {
    const double gain = 1.5;
    const auto w = orthogonal(gain)(DType::float64, shape, 9);
    const auto rows = shape[0], columns = shape.size() / rows;
    const bool wide = rows < columns;
    const auto at = [&](std::int64_t vector, std::int64_t i) {
      return wide ? w.item(vector * columns + i) : w.item(i * columns + vector);
    };
    for (std::int64_t a = 0; a < std::min(rows, columns); ++a) {
      for (std::int64_t b = 0; b <= a; ++b) {
        double dot = 0;
        for (std::int64_t i = 0; i < std::max(rows, columns); ++i) dot += at(a, i) * at(b, i);
        EXPECT_NEAR(dot, a == b ? gain * gain : 0, 1e-13) << to_string(shape);
      }
    }
  }
  EXPECT_THROW(orthogonal()(DType::float64, {5}, 1), Error);
}

// Uniform over the orthogonal matrices: the sign of an element is a fair coin. Without the signs of
// R's diagonal the first one would be the same always. 200 tosses: 100 +- 7.1, five deviations.
TEST(Initializers, OrthogonalHasNoPreferredSign) {
  int positive = 0;
  for (std::uint64_t key = 0; key < 200; ++key) {
    positive += orthogonal()(DType::float64, {4, 4}, key).item(0) > 0;
  }
  EXPECT_NEAR(positive, 100, 36);
}

TEST(Initializers, DependOnTheKeyOnly) {
  for (const auto& name : initializer_names()) {
    const auto init = initializer(name);
    const auto first = init(DType::float32, {6, 4}, 1);
    EXPECT_TRUE(identical(first, init(DType::float32, {6, 4}, 1))) << name;
    const bool fixed = name == "zeros" || name == "ones" || name == "constant";
    EXPECT_EQ(identical(first, init(DType::float32, {6, 4}, 2)), fixed) << name;
    // The same numbers in either precision, but for rounding.
    EXPECT_TRUE(identical(first, init(DType::float64, {6, 4}, 1).cast(DType::float32))) << name;
  }
}

// ---- by name ----

bool same(const Initializer& a, const Initializer& b) {
  return identical(a(DType::float64, {6, 4}, 3), b(DType::float64, {6, 4}, 3));
}

TEST(Initializers, AreFoundByName) {
  EXPECT_TRUE(same(initializer("default"), torch_default()));
  EXPECT_TRUE(same(initializer("glorot_normal"), xavier_normal()));
  EXPECT_TRUE(same(initializer("kaiming_uniform"), he_uniform()));
  EXPECT_TRUE(same(initializer("normal(0.02)"), normal(0.02)));
  EXPECT_TRUE(same(initializer("he_normal(0.2)"), he_normal(0.2)));
  EXPECT_TRUE(same(initializer("orthogonal(1.4)"), orthogonal(1.4)));
  EXPECT_FALSE(same(initializer("normal"), normal(0.02)));
}

std::string error_of(const std::string& text) {
  try {
    initializer(text, "linear: init");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Initializers, ErrorsSayWhatToWrite) {
  EXPECT_THAT(error_of("xavier_unifrom"), testing::HasSubstr("did you mean \"xavier_uniform\"?"));
  EXPECT_THAT(error_of("normal(0.02"), testing::HasSubstr("write normal or normal(0.05)"));
  EXPECT_THAT(error_of("normal(x)"), testing::HasSubstr("linear: init: "));
  EXPECT_THAT(error_of("zeros(1)"), testing::HasSubstr("write zeros"));
}

}  // namespace
}  // namespace descent::nn
