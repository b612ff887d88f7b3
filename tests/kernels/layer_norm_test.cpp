// Layer and RMS normalisation against plain loops in long double, with sentinels around what is
// written.
#include "descent/kernels/layer_norm.h"

#include <algorithm>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {

using testing::Guarded;
using testing::random_vector;
using testing::Scratch;

// y, dx, dweight, dbias by plain loops.
struct Naive {
  std::vector<long double> y, dx, dweight, dbias;
  template <class T>
  Naive(const LayerNormShape& s, const Guarded<T>& x, const Guarded<T>& g, const Guarded<T>& weight,
        const Guarded<T>& bias, bool affine)
      : y(static_cast<std::size_t>(s.rows * s.n)),
        dx(y),
        dweight(static_cast<std::size_t>(s.n)),
        dbias(dweight) {
    const auto n = static_cast<long double>(s.n);
    for (std::int64_t r = 0; r < s.rows; ++r) {
      long double mean = 0, variance = 0, mean_h = 0, mean_hx = 0;
      for (std::int64_t j = 0; j < s.n && !s.rms; ++j) mean += x[r * s.n + j] / n;
      const auto centred = [&](std::int64_t j) { return x[r * s.n + j] - mean; };
      for (std::int64_t j = 0; j < s.n; ++j) variance += centred(j) * centred(j) / n;
      const long double rstd = 1 / std::sqrt(variance + static_cast<long double>(s.eps));
      const auto w = [&](std::int64_t j) {
        return affine ? static_cast<long double>(weight[j]) : 1;
      };
      const auto h = [&](std::int64_t j) { return g[r * s.n + j] * w(j); };
      for (std::int64_t j = 0; j < s.n; ++j) {
        const auto at = static_cast<std::size_t>(r * s.n + j), column = static_cast<std::size_t>(j);
        y[at] = centred(j) * rstd * w(j) + (affine ? static_cast<long double>(bias[j]) : 0);
        if (!s.rms) mean_h += h(j) / n;
        mean_hx += h(j) * centred(j) * rstd / n;
        dweight[column] += g[r * s.n + j] * centred(j) * rstd;
        dbias[column] += g[r * s.n + j];
      }
      for (std::int64_t j = 0; j < s.n; ++j) {
        dx[static_cast<std::size_t>(r * s.n + j)] =
            rstd * (h(j) - mean_h - centred(j) * rstd * mean_hx);
      }
    }
  }
};

template <class T>
void compare(const Guarded<T>& got, const std::vector<long double>& want, double tolerance,
             const char* what) {
  long double most = 1;  // where everything cancels, the terms are of this size
  for (const auto v : want) most = std::max(most, std::abs(v));
  for (std::int64_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - want[static_cast<std::size_t>(i)]), tolerance * most)
        << what << " at " << i;
  }
}

template <class T>
void expect_equal_to_loops(LayerNormShape s, bool affine, double tolerance) {
  SCOPED_TRACE(std::to_string(s.rows) + " rows of " + std::to_string(s.n));
  s.dtype = dtype_of<T>;
  const auto all = s.rows * s.n;
  Guarded<T> x(all), g(all), weight(s.n), bias(s.n), y(all), dx(all), dweight(s.n), dbias(s.n),
      mean(s.rms ? 0 : s.rows), rstd(s.rows);
  std::uint64_t seed = 1;
  for (auto* v : {&x, &g, &weight, &bias}) {
    const auto values = random_vector<T>(v->size(), seed++, -1, 3);
    std::copy(values.begin(), values.end(), v->data());
  }
  Scratch scratch(layer_norm_gradient_scratch_bytes(s));
  const auto when = [&](auto& v) { return affine ? v.data() : nullptr; };
  const long before = testing::allocations();
  layer_norm({s, x.data(), when(weight), when(bias), y.data(), mean.data(), rstd.data()});
  layer_norm_gradient({s, x.data(), g.data(), mean.data(), rstd.data(), when(weight), dx.data(),
                       when(dweight), when(dbias)},
                      scratch.data());
  EXPECT_EQ(testing::allocations(), before);
  const Naive naive(s, x, g, weight, bias, affine);
  compare(y, naive.y, tolerance, "y");
  compare(dx, naive.dx, tolerance, "dx");
  if (affine) {
    compare(dweight, naive.dweight, tolerance, "dweight");
    compare(dbias, naive.dbias, tolerance, "dbias");
  }
  for (const auto* v : {&y, &dx, &dweight, &dbias, &mean, &rstd}) EXPECT_TRUE(v->intact());
  EXPECT_TRUE(scratch.intact());
}

// Rows of up to 384 and columns of up to 100 numbers are summed, each rounded to 1.1e-16 (6e-8).
TEST(LayerNorm, EqualsLoops) {
  for (const std::int64_t rows : {1, 33, 100}) {
    for (const std::int64_t n : {1, 5, 16, 37, 64, 129, 384}) {
      for (const bool rms : {false, true}) {
        for (const bool affine : {false, true}) {
          const LayerNormShape s{.rows = rows, .n = n, .eps = 1e-2, .rms = rms};
          expect_equal_to_loops<float>(s, affine, 3e-6);
          expect_equal_to_loops<double>(s, affine, 5e-15);
        }
      }
    }
  }
}

// The variance of numbers far from 0 keeps its digits.
TEST(LayerNorm, KeepsDigitsFarFromZero) {
  const LayerNormShape s{.rows = 1, .n = 64, .eps = 1e-12};
  std::vector<float> x(64), y(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = 4096 + (i % 2 == 0 ? 1.0F : -1.0F);
  float mean, rstd;
  layer_norm({s, x.data(), nullptr, nullptr, y.data(), &mean, &rstd});
  EXPECT_EQ(mean, 4096);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(y[i], i % 2 == 0 ? 1.0F : -1.0F);
}

}  // namespace
}  // namespace descent::kernels
