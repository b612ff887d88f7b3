#include "descent/kernels/dense_product.h"

#include <cmath>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;
using testing::Scratch;

float at(const float* x, bool transposed, std::int64_t rows, std::int64_t columns, std::int64_t i,
         std::int64_t j) {
  return transposed ? x[j * rows + i] : x[i * columns + j];
}

void fill(Guarded<float>& x, std::uint64_t seed) {
  RandomStream random(seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random.uniform() - 0.5);
}

// Against sums in float64, with sentinels round every operand.
void check(const MatmulShape& s) {
  const auto method = dense_matmul(s);
  ASSERT_NE(method, nullptr);
  Guarded<float> a(s.m * s.k), b(s.k * s.n), c(s.m * s.n);
  fill(a, 1), fill(b, 2);
  for (std::int64_t i = 0; i < c.size(); ++i) c[i] = NAN;  // must not be read
  Scratch scratch(method->scratch_bytes());
  method->bind(a.data(), b.data(), c.data(), scratch.data())();
  ASSERT_TRUE(a.intact() && b.intact() && c.intact() && scratch.intact())
      << s.m << " " << s.k << " " << s.n;
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0, size = 0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        const double product = static_cast<double>(at(a.data(), s.transpose_a, s.m, s.k, i, l)) *
                               static_cast<double>(at(b.data(), s.transpose_b, s.k, s.n, l, j));
        sum += product, size += std::fabs(product);
      }
      // The sum of k products one after another: less than k roundings of its size.
      ASSERT_NEAR(static_cast<double>(c[i * s.n + j]), sum,
                  size * 0x1p-24 * static_cast<double>(s.k + 2))
          << s.m << " " << s.k << " " << s.n << " at " << i << " " << j;
    }
  }
}

// Blocks, panels and vectors that end in the middle; more rows of w than go through at once; more
// terms than a block of k.
constexpr std::array<std::int64_t, 3> kShapes[] = {{8, 1, 1},     {9, 5, 33},     {32, 40, 16},
                                                   {33, 257, 97}, {47, 300, 200}, {64, 784, 50},
                                                   {12, 64, 784}, {70, 513, 31}};

TEST(DenseProduct, EveryKindEveryRest) {
  for (const auto& [m, k, n] : kShapes) {
    check({.m = m, .k = k, .n = n, .transpose_b = true});
    check({.m = m, .k = k, .n = n});
    check({.m = m, .k = k, .n = n, .transpose_a = true});
  }
}

TEST(DenseProduct, IsNotForOtherProducts) {
  EXPECT_EQ(dense_matmul({.m = 64, .k = 64, .n = 64, .transpose_a = true, .transpose_b = true}),
            nullptr);
  EXPECT_EQ(dense_matmul({.batch = 2, .m = 64, .k = 64, .n = 64}), nullptr);
  EXPECT_EQ(dense_matmul({.m = 64, .k = 0, .n = 64}), nullptr);
  EXPECT_EQ(dense_matmul({.m = 7, .k = 64, .n = 64}), nullptr);
  EXPECT_EQ(dense_matmul({.m = 64, .k = 64, .n = 64, .in = DType::bfloat16}), nullptr);
  EXPECT_FALSE(SummedProduct::suits({.m = 10, .k = 64, .n = 512, .transpose_a = true}));
  EXPECT_FALSE(SummedProduct::suits({.m = 512, .k = 1024, .n = 512, .transpose_a = true}));
  EXPECT_FALSE(SummedProduct::suits({.m = 512, .k = 64, .n = 512}));
  EXPECT_TRUE(SummedProduct::suits({.m = 512, .k = 64, .n = 784, .transpose_a = true}));
}

// Sums of several products: the bits of the products added one after another, in whatever pieces.
TEST(DenseProduct, SumsAreThoseOfSeparateProducts) {
  for (const auto& [m, k, n] : kShapes) {
    const MatmulShape part{.m = m, .k = k, .n = n, .transpose_a = true};
    const auto single = dense_matmul(part);
    for (const int parts : {1, 2, 3, 8}) {
      std::vector<Guarded<float>> a, b;
      std::vector<const float*> in_a, in_b;
      for (int p = 0; p < parts; ++p) {
        a.emplace_back(k * m), b.emplace_back(k * n);
        fill(a.back(), static_cast<std::uint64_t>(p)),
            fill(b.back(), static_cast<std::uint64_t>(100 + p));
      }
      for (int p = 0; p < parts; ++p) {
        in_a.push_back(a[static_cast<std::size_t>(p)].data());
        in_b.push_back(b[static_cast<std::size_t>(p)].data());
      }
      std::vector<float> want(static_cast<std::size_t>(m * n)), one(want.size());
      Scratch alone(single->scratch_bytes());
      for (int p = 0; p < parts; ++p) {
        single->bind(in_a[static_cast<std::size_t>(p)], in_b[static_cast<std::size_t>(p)],
                     one.data(), alone.data())();
        for (std::size_t i = 0; i < want.size(); ++i) want[i] = p == 0 ? one[i] : want[i] + one[i];
      }
      const SummedProduct sum(part, parts);
      for (const std::int64_t pieces : {sum.extent(), std::int64_t{1}, std::int64_t{3}}) {
        Guarded<float> c(m * n);
        for (std::int64_t i = 0; i < c.size(); ++i) c[i] = NAN;
        Scratch scratch(sum.scratch_bytes());
        const auto run = sum.bind(in_a, in_b, c.data(), reinterpret_cast<float*>(scratch.data()));
        for (std::int64_t p = 0; p < sum.extent(); p += pieces)
          run(p, std::min(sum.extent(), p + pieces));
        ASSERT_TRUE(c.intact() && scratch.intact());
        ASSERT_TRUE(testing::same_bits(c.data(), want.data(), m * n))
            << m << " " << k << " " << n << ", parts " << parts << ", pieces of " << pieces;
      }
    }
  }
}

}  // namespace
}  // namespace descent::kernels
