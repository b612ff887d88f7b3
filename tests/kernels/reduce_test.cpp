#include "descent/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;

template <class T>
long double reference(Reduction kind, const T* x, std::int64_t n, std::int64_t step) {
  using L = std::numeric_limits<T>;
  if (kind == Reduction::sum) {
    long double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += x[i * step];
    return sum;
  }
  const bool max = kind == Reduction::max;
  long double best = L::has_infinity ? (max ? -INFINITY : INFINITY)
                                     : (max ? static_cast<long double>(L::lowest())
                                            : static_cast<long double>(L::max()));
  for (std::int64_t i = 0; i < n; ++i) {
    const long double v = x[i * step];
    if (std::isnan(v)) return v;
    best = max ? std::max(best, v) : std::min(best, v);
  }
  return best;
}

template <class T>
void check(std::int64_t outer, std::int64_t n, std::int64_t inner, bool nan = false) {
  RandomStream random(static_cast<std::uint64_t>(outer * 7919 + n * 31 + inner));
  Guarded<T> x(outer * n * inner, n % 3);
  long double size = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<T>((random.uniform() - 0.3) * 100);
    size = std::max(size, std::fabs(static_cast<long double>(x[i])));
  }
  if (nan && x.size() > 0)
    x[static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(x.size())))] =
        static_cast<T>(NAN);
  for (const auto kind : {Reduction::sum, Reduction::max, Reduction::min}) {
    Guarded<T> out(outer * inner, 1);
    reduce_kernel(kind, dtype_of<T>)(x.data(), out.data(), outer, n, inner);
    ASSERT_TRUE(x.intact() && out.intact());
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t j = 0; j < inner; ++j) {
        const long double want = reference(kind, &x[0] + o * n * inner + j, n, inner);
        const T got = out[o * inner + j];
        if (std::isnan(want)) {
          ASSERT_TRUE(std::isnan(static_cast<long double>(got)));
        } else if (kind == Reduction::sum && std::is_floating_point_v<T>) {
          // At most 32 additions after each other in a lane or block, then pairs: 32 + 6 + 11
          // roundings.
          const long double bound =
              50 * std::numeric_limits<T>::epsilon() * size * static_cast<long double>(n);
          ASSERT_NEAR(static_cast<double>(got), static_cast<double>(want),
                      static_cast<double>(bound))
              << outer << " " << n << " " << inner;
        } else {
          ASSERT_EQ(static_cast<long double>(got), want)
              << static_cast<int>(kind) << ": " << outer << " " << n << " " << inner;
        }
      }
    }
  }
}

template <class T>
class ReduceAll : public ::testing::Test {};
using Types = ::testing::Types<float, double, std::int32_t, std::int64_t>;
TYPED_TEST_SUITE(ReduceAll, Types);

TYPED_TEST(ReduceAll, RowsOfEveryLength) {
  for (std::int64_t n = 0; n <= 140; ++n) check<TypeParam>(3, n, 1);
  for (const std::int64_t n : {255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 5000, 70001})
    check<TypeParam>(2, n, 1);
}
TYPED_TEST(ReduceAll, ColumnsOfEveryShape) {
  for (std::int64_t inner = 2; inner <= 70; ++inner) check<TypeParam>(2, 1 + inner * 7 % 40, inner);
  for (std::int64_t n = 0; n <= 100; ++n) check<TypeParam>(2, n, 3);
  for (const std::int64_t inner : {127, 128, 129, 300}) check<TypeParam>(2, 77, inner);
  check<TypeParam>(1, 3000, 5);
}
TYPED_TEST(ReduceAll, NaNIsKeptWhereverItIs) {
  if constexpr (std::is_floating_point_v<TypeParam>) {
    for (std::int64_t n = 1; n <= 70; ++n) {
      check<TypeParam>(1, n, 1, true);
      check<TypeParam>(1, n, 1 + n % 20, true);
    }
    check<TypeParam>(1, 9000, 1, true);
  } else {
    SUCCEED() << "integers have none";
  }
}

// 32 additions in a lane, then pairs: at most 32 + 6 + 11 roundings of 2^-24, 1.3 of 419430. One
// after the other is off by thousands.
TEST(Reduce, SumsOfManyStayExact) {
  const std::int64_t n = 1 << 22;
  std::vector<float> x(static_cast<std::size_t>(n), 0.1f);
  float sum = 0;
  reduce_kernel(Reduction::sum, DType::float32)(x.data(), &sum, 1, n, 1);
  EXPECT_NEAR(sum, static_cast<double>(n) * static_cast<double>(0.1f), 1.3);
  std::vector<float> columns(2);
  reduce_kernel(Reduction::sum, DType::float32)(x.data(), columns.data(), 1, n / 2, 2);
  EXPECT_NEAR(columns[0], static_cast<double>(n / 2) * static_cast<double>(0.1f), 0.7);
  EXPECT_EQ(columns[0], columns[1]);
}

// The same bits on every target (targets_test.cpp runs this on each).
TEST(Reduce, OrderDoesNotDependOnTheTarget) {
  const auto x = testing::random_vector<float>(5003, 1, -1000, 1000);
  const auto sum = reduce_kernel(Reduction::sum, DType::float32);
  float row = 0, columns[3];
  sum(x.data(), &row, 1, 5003, 1);
  sum(x.data(), columns, 1, 1667, 3);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(row), 1194121345u) << row;  // as AVX-512 gave it
  EXPECT_EQ(std::bit_cast<std::uint32_t>(columns[1]), 1181086689u) << columns[1];
}

TEST(Reduce, InfinitiesAndTypesWithoutKernels) {
  const float x[] = {INFINITY, -INFINITY, 1};
  float out = 0;
  reduce_kernel(Reduction::sum, DType::float32)(x, &out, 1, 3, 1);
  EXPECT_TRUE(std::isnan(out));
  reduce_kernel(Reduction::max, DType::float32)(x, &out, 1, 3, 1);
  EXPECT_EQ(out, INFINITY);
  reduce_kernel(Reduction::max, DType::float32)(x + 1, &out, 1, 1, 1);
  EXPECT_EQ(out, -INFINITY);
  EXPECT_EQ(reduce_kernel(Reduction::sum, DType::bfloat16), nullptr);
}

TEST(ArgMax, FirstOfEqualsAndNaNFirst) {
  const float x[] = {1, 3, 3, 2, /**/ NAN, 9, NAN, 0, /**/ -INFINITY, -INFINITY, -1, -1};
  std::int64_t out[3];
  arg_max(x, out, 3, 4, 1, DType::float32);
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[1], 0);
  EXPECT_EQ(out[2], 2);
  const std::int32_t k[] = {1, 9, 5, 9, 7, 9};  // [1, 3, 2]: columns 1 5 7 and 9 9 9
  arg_max(k, out, 1, 3, 2, DType::int32);
  EXPECT_EQ(out[0], 2);
  EXPECT_EQ(out[1], 0);
  EXPECT_ANY_THROW(arg_max(k, out, 1, 3, 2, DType::boolean));
}

TEST(ArgMax, MatchesTheReference) {
  for (const std::int64_t n : {1, 2, 10, 33, 1000}) {
    const auto x = testing::random_vector<double>(4 * n * 3, 5);
    std::vector<std::int64_t> out(12);
    arg_max(x.data(), out.data(), 4, n, 3, DType::float64);
    for (std::int64_t o = 0; o < 4; ++o) {
      for (std::int64_t j = 0; j < 3; ++j) {
        std::int64_t best = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          if (x[static_cast<std::size_t>((o * n + i) * 3 + j)] >
              x[static_cast<std::size_t>((o * n + best) * 3 + j)])
            best = i;
        }
        EXPECT_EQ(out[static_cast<std::size_t>(o * 3 + j)], best);
      }
    }
  }
}

TEST(Reduce, ChannelsOfPlanesAndChannelsLastGiveTheSameBits) {
  for (const auto& [n, c, places] :
       {std::tuple{1, 1, 1}, {3, 1, 50}, {2, 3, 7}, {5, 16, 64}, {7, 5, 33}, {64, 3, 81}}) {
    const auto x = testing::random_vector<float>(n * c * places, 4);
    std::vector<float> last(x.size()), a(static_cast<std::size_t>(c)), b(a.size());
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < c; ++k)
        for (int p = 0; p < places; ++p)
          last[static_cast<std::size_t>((i * places + p) * c + k)] =
              x[static_cast<std::size_t>((i * c + k) * places + p)];
    channel_sum(x.data(), a.data(), n, c, places, DType::float32);
    reduce_kernel(Reduction::sum, DType::float32)(last.data(), b.data(), 1, n * places, c);
    ASSERT_TRUE(testing::same_bits(a.data(), b.data(), c)) << n << " " << c << " " << places;
  }
}

template <class T>
void check_stream(std::int64_t n, std::int64_t inner, DType dtype) {
  const auto x = testing::random_vector<T>(n * inner, 6);
  std::vector<T> whole(static_cast<std::size_t>(inner)), pieces(whole.size());
  reduce_kernel(Reduction::sum, dtype)(x.data(), whole.data(), 1, n, inner);
  const SumStream stream{n, inner, dtype};
  for (const std::int64_t grains : {1, 2, 5, 16}) {
    testing::Scratch state(stream.state_bytes());
    stream.begin(state.data());
    const std::int64_t piece = grains * stream.grain();
    for (std::int64_t at = 0; at < n * inner; at += piece)
      stream.add(state.data(), x.data() + at, std::min(piece, n * inner - at));
    stream.finish(state.data(), pieces.data());
    ASSERT_TRUE(state.intact());
    ASSERT_TRUE(testing::same_bits(whole.data(), pieces.data(), inner))
        << n << " rows of " << inner << ", " << grains << " grains at a time";
  }
}

TEST(Reduce, PieceByPieceGivesTheSameBits) {
  for (const std::int64_t inner : {1, 2, 3, 10, 16, 64, 130}) {
    for (const std::int64_t n : {1, 3, 4, 31, 32, 33, 64, 96, 100, 256, 1000, 2049, 5000, 9000}) {
      check_stream<float>(n, inner, DType::float32);
      check_stream<double>(n, inner, DType::float64);
    }
  }
}

}  // namespace
}  // namespace descent::kernels
