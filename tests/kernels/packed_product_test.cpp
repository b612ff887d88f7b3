// Products with a packed operand against naive sums, for sizes around whole panels and blocks.
#include "descent/kernels/packed_product.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "descent/base/memory.h"
#include "tests/kernels/support.h"

namespace descent::kernels::testing {
namespace {

template <class T>
std::vector<T> small_numbers(std::int64_t n, int seed) {
  std::vector<T> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<T>(std::sin(static_cast<double>(i) * 0.7 + seed));
  return x;
}

template <class T>
T rounded(T x, bool round) {
  return round ? static_cast<T>(static_cast<float>(bfloat16(static_cast<float>(x)))) : x;
}

// Every element: k additions, each rounded by up to half a unit of a sum that grows to k / 2;
// nothing is written beyond.
template <class T>
void check(const PackedShape& s, bool library, double unit) {
  SCOPED_TRACE(std::to_string(s.m) + "x" + std::to_string(s.k) + "x" + std::to_string(s.n));
  const auto a = small_numbers<T>(s.m * s.k, 1), b = small_numbers<T>(s.k * s.n, 2);
  constexpr T kSentinel = 12345;
  std::vector<T> c(static_cast<std::size_t>(s.m * s.n + 1), kSentinel);
  const PackedProduct product(s, library);
  const auto scratch = allocate(product.scratch_bytes());
  const auto bound = product.bind(c.data(), scratch.get());
  bound.pack(b.data());
  const long before = allocations();
  bound.run(a.data());
  if (!library) {
    EXPECT_EQ(allocations(), before);
  }
  const bool round = s.operands == DType::bfloat16;
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        const auto y = static_cast<std::size_t>(s.transpose_b ? j * s.k + l : l * s.n + j);
        sum += static_cast<double>(rounded(a[static_cast<std::size_t>(i * s.k + l)], round)) *
               static_cast<double>(rounded(b[y], round));
      }
      const auto k = static_cast<double>(s.k);
      ASSERT_NEAR(c[static_cast<std::size_t>(i * s.n + j)], sum, k * std::max(1.0, k / 2) * unit)
          << i << ", " << j;
    }
  }
  EXPECT_EQ(c.back(), kSentinel);
}

const std::vector<std::array<std::int64_t, 3>> kSizes{
    {1, 1, 1}, {2, 3, 5}, {7, 16, 31}, {8, 5, 32}, {13, 37, 33}, {16, 64, 129}, {21, 9, 100}};

TEST(PackedProduct, IsTheProduct) {
  for (const auto& [m, k, n] : kSizes) {
    for (const bool transposed : {false, true}) {
      check<float>({m, k, n, transposed, DType::float32, DType::float32}, false, 6e-8);
      check<double>({m, k, n, transposed, DType::float64, DType::float64}, false, 2e-16);
    }
  }
}

TEST(PackedProduct, RoundsOperandsToBfloat16BothWays) {
  for (const auto& [m, k, n] : kSizes) {
    for (const bool transposed : {false, true}) {
      for (const bool library : {false, true}) {
        check<float>({m, k, n, transposed, DType::float32, DType::bfloat16}, library, 6e-8);
      }
      check<double>({m, k, n, transposed, DType::float64, DType::bfloat16}, false, 2e-16);
    }
  }
}

}  // namespace
}  // namespace descent::kernels::testing
