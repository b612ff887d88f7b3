#include "descent/kernels/blas1.h"

#include <cmath>
#include <vector>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {

std::vector<double> numbers(std::uint64_t seed, std::int64_t n) {
  RandomStream random(seed);
  std::vector<double> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(2 * random.uniform() - 1);
  return v;
}

// Sums of n products below 1 in any order: n roundings of numbers below n.
double near(std::int64_t n) { return 1e-16 * static_cast<double>(n * n + 1); }

TEST(Blas1, EqualsPlainLoopsForEveryLength) {
  for (std::int64_t n = 0; n <= 140; ++n) {
    const auto x = numbers(1, n), y = numbers(2, n), z = numbers(3, n);
    const auto count = static_cast<std::size_t>(n);
    double xy = 0, updated = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      xy += x[i] * y[i];
      updated += (y[i] + 0.3 * x[i]) * z[i];
      squares += (x[i] - y[i]) * (x[i] - y[i]);
    }
    EXPECT_NEAR(dot(x.data(), y.data(), n), xy, near(n));
    auto in_place = y, apart = numbers(4, n + 1), difference = apart;
    const double end = apart.back();
    EXPECT_NEAR(add_scaled_dot(0.3, x.data(), in_place.data(), z.data(), n), updated, near(n));
    add_scaled(0.3, x.data(), y.data(), apart.data(), n);
    EXPECT_NEAR(subtract_dot(x.data(), y.data(), difference.data(), n), squares, near(n));
    auto again = y;
    add_scaled(0.3, x.data(), again.data(), n);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(apart[i], y[i] + 0.3 * x[i]);
      ASSERT_EQ(in_place[i], apart[i]);
      ASSERT_EQ(again[i], apart[i]);
      ASSERT_EQ(difference[i], x[i] - y[i]);
    }
    ASSERT_EQ(apart.back(), end);
    ASSERT_EQ(difference.back(), end);
  }
}

TEST(Blas1, SumsAreOfThirtyTwoPartialSums) {
  // The order that the header promises, whatever the width of the processor's vectors.
  const std::int64_t n = 1003;
  const auto x = numbers(5, n), y = numbers(6, n);
  std::vector<double> partial(32, 0);
  for (std::size_t i = 0; i < x.size(); ++i) partial[i % 32] += x[i] * y[i];
  for (std::size_t half = 16; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) partial[i] += partial[i + half];
  }
  EXPECT_EQ(dot(x.data(), y.data(), n), partial[0]);
}

}  // namespace
}  // namespace descent::kernels
