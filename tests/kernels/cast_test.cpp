#include <cmath>

#include "descent/kernels/eltwise.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;

constexpr DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::int32,
                            DType::int64,   DType::uint8,   DType::boolean};

double as_double(bfloat16 x) { return static_cast<float>(x); }
template <class T>
double as_double(T x) {
  return static_cast<double>(x);
}

TEST(Cast, EveryPairOfTypesAndEveryTail) {
  for (const DType from : kTypes) {
    for (const DType to : kTypes) {
      const auto cast = cast_kernel(from, to);
      ASSERT_NE(cast, nullptr);
      dispatch(from, [&](auto f) {
        dispatch(to, [&](auto t) {
          using From = decltype(f);
          using To = decltype(t);
          for (std::int64_t n = 0; n <= 70; ++n) {
            Guarded<From> x(n, n % 3);
            Guarded<To> y(n, n % 5);
            for (std::int64_t i = 0; i < n; ++i) {
              // Small integers: exact in every type (bool apart).
              if constexpr (std::is_same_v<From, bfloat16>)
                x[i] = bfloat16(static_cast<float>(i % 50));
              else
                x[i] = static_cast<From>(i % 50);
            }
            cast(x.data(), y.data(), n);
            for (std::int64_t i = 0; i < n; ++i) {
              const double in = as_double(x[i]);
              const double want = to == DType::boolean ? (in != 0) : in;
              ASSERT_EQ(as_double(y[i]), want) << name_of(from) << " to " << name_of(to);
            }
            ASSERT_TRUE(x.intact() && y.intact()) << name_of(from) << " to " << name_of(to);
          }
        });
      });
    }
  }
}

TEST(Cast, FloatToIntegerTruncatesAndSaturates) {
  const float x[] = {1.9f, -1.9f, 3e9f, -3e9f, NAN, INFINITY, -0.5f, 2147483520.0f};
  std::int32_t y[8];
  cast_kernel(DType::float32, DType::int32)(x, y, 8);
  const std::int32_t max = std::numeric_limits<std::int32_t>::max(),
                     min = std::numeric_limits<std::int32_t>::min();
  const std::int32_t want[] = {1, -1, max, min, 0, max, 0, 2147483520};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(y[i], want[i]) << x[i];
  std::uint8_t bytes[8];
  cast_kernel(DType::float32, DType::uint8)(x, bytes, 8);
  const std::uint8_t want_bytes[] = {1, 0, 255, 0, 0, 255, 0, 255};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(bytes[i], want_bytes[i]) << x[i];
  const double d[] = {9.3e18, -9.3e18, 9007199254740993.0};
  std::int64_t z[3];
  cast_kernel(DType::float64, DType::int64)(d, z, 3);
  EXPECT_EQ(z[0], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(z[1], std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(z[2], 9007199254740992);
}

TEST(Cast, Bfloat16RoundsToNearestEvenAndKeepsSpecials) {
  std::vector<float> x = testing::random_vector<float>(1000, 3, -100, 100);
  for (const float v : {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1.00390625f, 1.01171875f, 3.4e38f})
    x.push_back(v);
  std::vector<bfloat16> y(x.size());
  std::vector<float> back(x.size());
  const auto n = static_cast<std::int64_t>(x.size());
  cast_kernel(DType::float32, DType::bfloat16)(x.data(), y.data(), n);
  cast_kernel(DType::bfloat16, DType::float32)(y.data(), back.data(), n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(y[i].bits, bfloat16(x[i]).bits) << x[i];
    EXPECT_TRUE(testing::same_bits(back[i], static_cast<float>(y[i])));
  }
  // 1 + 2^-8 lies between 1 and 1 + 2^-7: the even one is 1; 1 + 3 * 2^-8: it is 1 + 2^-6.
  EXPECT_EQ(back[1005], 1.0f);
  EXPECT_EQ(back[1006], 1.015625f);
  EXPECT_TRUE(std::isnan(back[1002]));
}

TEST(Cast, ToBoolIsNotEqualToZero) {
  const double x[] = {0, -0.0, 0.25, -3, NAN, 256};
  bool y[6];
  cast_kernel(DType::float64, DType::boolean)(x, y, 6);
  const bool want[] = {false, false, true, true, true, true};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(y[i], want[i]);
  const std::int32_t k[] = {0, 256, -1};
  cast_kernel(DType::int32, DType::boolean)(k, y, 3);
  EXPECT_FALSE(y[0]);
  EXPECT_TRUE(y[1] && y[2]);
}

}  // namespace
}  // namespace descent::kernels
