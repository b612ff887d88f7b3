#include "descent/kernels/matmul.h"

#include <cmath>
#include <thread>

#include "descent/base/threads.h"
#include "descent/kernels/eltwise.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::between;
using testing::Guarded;
using testing::Scratch;

std::string text(const MatmulShape& s) {
  return std::to_string(s.batch) + " x " + std::to_string(s.m) + "x" + std::to_string(s.k) + "x" +
         std::to_string(s.n) + (s.transpose_a ? " ta" : "") + (s.transpose_b ? " tb" : "") +
         (s.broadcast_a ? " ba" : "") + (s.broadcast_b ? " bb" : "") + " " +
         std::string(name_of(s.in)) + " " + std::string(name_of(s.out));
}

double value(float x) { return x; }
double value(double x) { return x; }
double value(bfloat16 x) { return static_cast<float>(x); }

// Element (i, j) of product p in float64, and the sum of absolute values (for the bound).
template <class T>
std::pair<double, double> reference(const MatmulShape& s, const T* a, const T* b, std::int64_t p,
                                    std::int64_t i, std::int64_t j) {
  a += s.broadcast_a ? 0 : p * s.m * s.k;
  b += s.broadcast_b ? 0 : p * s.k * s.n;
  double sum = 0, size = 0;
  for (std::int64_t l = 0; l < s.k; ++l) {
    const double x = value(s.transpose_a ? a[l * s.m + i] : a[i * s.k + l]);
    const double y = value(s.transpose_b ? b[j * s.k + l] : b[l * s.n + j]);
    sum += x * y;
    size += std::fabs(x * y);
  }
  return {sum, size};
}

template <class In, class Out, class Method>
void check(const MatmulShape& s, const Method& method) {
  Guarded<In> a((s.broadcast_a ? 1 : s.batch) * s.m * s.k),
      b((s.broadcast_b ? 1 : s.batch) * s.k * s.n);
  Guarded<Out> c(s.batch * s.m * s.n);
  RandomStream random(static_cast<std::uint64_t>(s.m * 10007 + s.k * 101 + s.n));
  for (std::int64_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<In>(static_cast<float>(random.uniform() - 0.5));
  for (std::int64_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<In>(static_cast<float>(random.uniform() - 0.5));
  for (std::int64_t i = 0; i < c.size(); ++i) c[i] = static_cast<Out>(NAN);  // must not be read
  Scratch scratch(method.scratch_bytes());
  const auto run = method.bind(a.data(), b.data(), c.data(), scratch.data());
  run();
  ASSERT_TRUE(a.intact() && b.intact() && c.intact() && scratch.intact()) << text(s);
  // The sum of k products in some order: less than k roundings of its size, one more for bfloat16.
  const double unit = std::is_same_v<In, double> ? 0x1p-53 : 0x1p-24;
  const double last = std::is_same_v<Out, bfloat16> ? 0x1p-8 : 0;
  for (std::int64_t p = 0; p < s.batch; ++p) {
    for (std::int64_t i = 0; i < s.m; ++i) {
      for (std::int64_t j = 0; j < s.n; ++j) {
        const auto [want, size] = reference(s, a.data(), b.data(), p, i, j);
        const double bound = size * unit * static_cast<double>(s.k + 2) + std::fabs(want) * last;
        ASSERT_LE(std::fabs(value(c[(p * s.m + i) * s.n + j]) - want), bound)
            << text(s) << " at " << p << " " << i << " " << j;
      }
    }
  }
  std::vector<Out> first(c.data(), c.data() + c.size());
  run();  // the same bits again
  ASSERT_TRUE(testing::same_bits(first.data(), static_cast<const Out*>(c.data()), c.size()));
}
template <class Method>
void check_types(const MatmulShape& s, const Method& method) {
  if (s.in == DType::float64) return check<double, double>(s, method);
  if (s.in == DType::float32) return check<float, float>(s, method);
  if (s.out == DType::float32) return check<bfloat16, float>(s, method);
  check<bfloat16, bfloat16>(s, method);
}

constexpr std::pair<DType, DType> kTypes[] = {{DType::float32, DType::float32},
                                              {DType::float64, DType::float64},
                                              {DType::bfloat16, DType::float32},
                                              {DType::bfloat16, DType::bfloat16}};

MatmulShape random_shape(RandomStream& random, std::int64_t largest) {
  MatmulShape s;
  const auto extent = [&] {
    return random.below(4) == 0 ? between(random, 1, largest) : between(random, 1, 9);
  };
  s.m = extent(), s.k = extent(), s.n = extent();
  s.transpose_a = random.below(2) != 0;
  s.transpose_b = random.below(2) != 0;
  if (random.below(3) == 0) {
    s.batch = between(random, 2, 4);
    s.broadcast_a = random.below(3) == 0;
    s.broadcast_b = random.below(3) == 0;
  }
  const auto& types = kTypes[random.below(4)];
  s.in = types.first, s.out = types.second;
  return s;
}

TEST(Matmul, RandomShapesOfAllKinds) {
  RandomStream random(11);
  for (int trial = 0; trial < 300; ++trial) {
    const auto s = random_shape(random, 70);
    check_types(s, Matmul(s));
  }
}

TEST(Matmul, EachMethodEachTransposition) {
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{1, 2, 16},
                                {1, 1, 1},
                                {7, 13, 17},
                                {6, 256, 32},
                                {13, 300, 33},
                                {40, 41, 42},
                                {2, 600, 5}}) {
    for (int form = 0; form < 4; ++form) {
      MatmulShape s{
          .m = m, .k = k, .n = n, .transpose_a = form % 2 == 1, .transpose_b = form / 2 == 1};
      check<float, float>(s, *loop_matmul(s));
      if (const auto library = library_matmul(s)) check<float, float>(s, *library);
      for (const DType out : {DType::float32, DType::bfloat16}) {
        s.in = DType::bfloat16, s.out = out;
        check_types(s, *converting_matmul(s));
      }
      s.in = s.out = DType::float64;
      check<double, double>(s, *loop_matmul(s));
    }
  }
}

// Blocks of every number of rows and vectors, with and without a last vector that is not full, and
// products with vectors.
TEST(Matmul, EachMethodEveryBlock) {
  for (std::int64_t m = 1; m <= 26; ++m) {
    for (const std::int64_t n : {1, 2, 3, 4, 5, 8, 16, 17, 31, 32, 40, 48, 50, 64, 70, 96, 100}) {
      const std::int64_t k = 1 + (m * 7 + n) % 19;
      for (int form = 0; form < 4; ++form) {
        MatmulShape s{
            .m = m, .k = k, .n = n, .transpose_a = form % 2 == 1, .transpose_b = form / 2 == 1};
        check<float, float>(s, *loop_matmul(s));
        s.in = s.out = DType::float64;
        check<double, double>(s, *loop_matmul(s));
      }
    }
  }
}

// A row's bits do not depend on how many there are: every element of a block is summed in order.
TEST(Matmul, EachMethodRowsKeepTheirBits) {
  constexpr std::int64_t rows = 26, k = 24, n = 40;
  const auto a = testing::random_vector<float>(rows * k, 1);
  const auto b = testing::random_vector<float>(k * n, 2);
  std::vector<float> all(rows * n), some(rows * n);
  loop_matmul({.m = rows, .k = k, .n = n})->bind(a.data(), b.data(), all.data(), nullptr)();
  for (std::int64_t m = 1; m < rows; ++m) {
    loop_matmul({.m = m, .k = k, .n = n})->bind(a.data(), b.data(), some.data(), nullptr)();
    EXPECT_TRUE(testing::same_bits(some.data(), static_cast<const float*>(all.data()), m * n)) << m;
  }
}

TEST(Matmul, LargeProductsSpotChecked) {
  for (int form = 0; form < 4; ++form) {
    for (const DType type : {DType::float32, DType::float64}) {
      MatmulShape s{.m = 128,
                    .k = 784,
                    .n = 96,
                    .transpose_a = form % 2 == 1,
                    .transpose_b = form / 2 == 1,
                    .in = type,
                    .out = type};
      check_types(s, Matmul(s));
    }
  }
}

TEST(Matmul, BatchesOfLargeProducts) {
  for (int flags = 0; flags < 16; ++flags) {
    for (const auto& [in, out] : kTypes) {
      const MatmulShape s{.batch = 3,
                          .m = 33,
                          .k = 40,
                          .n = 31,
                          .transpose_a = (flags & 1) != 0,
                          .transpose_b = (flags & 2) != 0,
                          .broadcast_a = (flags & 4) != 0,
                          .broadcast_b = (flags & 8) != 0,
                          .in = in,
                          .out = out};
      check_types(s, Matmul(s));
    }
  }
}

TEST(Matmul, EmptySizes) {
  float c[6] = {1, 2, 3, 4, 5, 6};
  Matmul({.m = 2, .k = 0, .n = 3}).bind(nullptr, nullptr, c, nullptr)();
  for (const float x : c) EXPECT_EQ(x, 0);  // a sum of nothing
  c[0] = 9;
  Matmul({.m = 0, .k = 4, .n = 3}).bind(c, c, c, nullptr)();
  Matmul({.batch = 0, .m = 2, .k = 4, .n = 3}).bind(c, c, c, nullptr)();
  EXPECT_EQ(c[0], 9);
}

TEST(Matmul, NaNAndInfinityArriveInTheirRowsOnly) {
  for (const std::int64_t k : {4, 64}) {
    const std::int64_t m = k, n = k;
    std::vector<float> a(static_cast<std::size_t>(m * k), 1), b(static_cast<std::size_t>(k * n), 1),
        c(static_cast<std::size_t>(m * n));
    a[static_cast<std::size_t>(k)] = NAN;           // row 1
    a[static_cast<std::size_t>(2 * k)] = INFINITY;  // row 2
    const Matmul product({.m = m, .k = k, .n = n});
    Scratch scratch(product.scratch_bytes());
    product.bind(a.data(), b.data(), c.data(), scratch.data())();
    for (std::int64_t j = 0; j < n; ++j) {
      EXPECT_EQ(c[static_cast<std::size_t>(j)], static_cast<float>(k));
      EXPECT_TRUE(std::isnan(c[static_cast<std::size_t>(n + j)]));
      EXPECT_EQ(c[static_cast<std::size_t>(2 * n + j)], INFINITY);
    }
  }
}

TEST(Matmul, RefusesTypesItCannotMultiply) {
  EXPECT_ANY_THROW(Matmul({.m = 1, .k = 1, .n = 1, .in = DType::int32, .out = DType::int32}));
  EXPECT_ANY_THROW(Matmul({.m = 1, .k = 1, .n = 1, .in = DType::float32, .out = DType::bfloat16}));
}

// One product, bound on two threads with scratch of their own, gives the bits of one thread.
template <class T>
void check_threads() {
  const MatmulShape s{
      .m = 64, .k = 200, .n = 48, .transpose_b = true, .in = dtype_of<T>, .out = dtype_of<T>};
  const auto a = testing::random_vector<T>(64 * 200, 1), b = testing::random_vector<T>(48 * 200, 2);
  std::vector<T> alone(64 * 48), c[2] = {alone, alone};
  const Matmul product(s);
  Scratch first(product.scratch_bytes());
  product.bind(a.data(), b.data(), alone.data(), first.data())();
  std::vector<std::thread> threads;
  for (auto& result : c) {
    threads.emplace_back([&] {
      prepare_thread();
      Scratch scratch(product.scratch_bytes());
      const auto run = product.bind(a.data(), b.data(), result.data(), scratch.data());
      for (int i = 0; i < 50; ++i) run();
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : c)
    EXPECT_TRUE(testing::same_bits(result.data(), alone.data(), 64 * 48)) << text(s);
}
TEST(Matmul, SameBitsOnEveryThread) {
  check_threads<float>();
  check_threads<double>();
  check_threads<bfloat16>();
}

}  // namespace
}  // namespace descent::kernels
