#include <cmath>
#include <numeric>

#include "descent/kernels/reduce.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::between;
using testing::Guarded;

// Offsets of all elements of a strided array, in row-major order of its index.
std::vector<std::int64_t> offsets(const Shape& shape, const std::vector<std::int64_t>& strides,
                                  std::int64_t offset) {
  std::vector<std::int64_t> all{offset};
  for (int k = 0; k < shape.rank(); ++k) {
    std::vector<std::int64_t> next;
    for (const auto base : all) {
      for (std::int64_t i = 0; i < shape[k]; ++i)
        next.push_back(base + i * strides[static_cast<std::size_t>(k)]);
    }
    all = std::move(next);
  }
  return all;
}

struct Case {
  Shape shape;
  std::vector<std::int64_t> strides;
};

// A random permutation and slicing of a dense array; with `repeat`, some axes have stride 0.
Case random_case(RandomStream& random, bool repeat) {
  const int rank = static_cast<int>(between(random, 0, 5));
  std::vector<int> order(static_cast<std::size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  for (int k = rank - 1; k > 0; --k)
    std::swap(order[static_cast<std::size_t>(k)],
              order[static_cast<std::size_t>(random.below(static_cast<std::uint64_t>(k) + 1))]);
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank)),
      strides(static_cast<std::size_t>(rank));
  std::int64_t step = 1;
  for (const int axis : order) {
    const std::int64_t extent =
        random.below(5) == 0 ? between(random, 17, 40) : between(random, 1, 5);
    dims[static_cast<std::size_t>(axis)] = extent;
    if (repeat && random.below(4) == 0) continue;
    strides[static_cast<std::size_t>(axis)] = step;
    step *= extent + (random.below(3) == 0 ? between(random, 0, 2) : 0);
  }
  return {Shape(dims), strides};
}

template <class T>
void check_copy(const Case& c, std::int64_t first) {
  const auto at = offsets(c.shape, c.strides, first);
  const std::int64_t largest = at.empty() ? first : *std::max_element(at.begin(), at.end());
  Guarded<T> x(largest + 1), out(c.shape.size(), 1);
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 37 + 11);
  strided_copy(x.data(), out.data(), c.shape, c.strides, first, sizeof(T));
  ASSERT_TRUE(out.intact());
  for (std::size_t i = 0; i < at.size(); ++i) {
    ASSERT_EQ(out[static_cast<std::int64_t>(i)], x[at[i]])
        << to_string(c.shape) << " element " << i;
  }
}

TEST(StridedCopy, RandomShapesAndTypes) {
  RandomStream random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const Case c = random_case(random, true);
    const std::int64_t first = between(random, 0, 3);
    check_copy<std::uint8_t>(c, first);
    check_copy<std::uint16_t>(c, first);
    check_copy<std::uint32_t>(c, first);
    check_copy<std::uint64_t>(c, first);
  }
}

TEST(StridedCopy, TransposesBroadcastsReversesAndNothing) {
  for (const std::int64_t m : {1, 3, 15, 16, 17, 64, 100}) {
    for (const std::int64_t n : {1, 2, 16, 31, 33, 130})
      check_copy<std::uint32_t>({Shape{m, n}, {1, m}}, 0);
  }
  check_copy<std::uint32_t>({Shape{5, 7, 33}, {33, 0, 1}}, 0);
  check_copy<std::uint32_t>({Shape{5, 7, 33}, {0, 1, 0}}, 2);
  check_copy<std::uint32_t>({Shape{4, 10}, {10, -1}}, 9);  // a reversed axis
  check_copy<std::uint32_t>({Shape{4, 0}, {1, 1}}, 0);
  check_copy<std::uint32_t>({Shape{}, {}}, 3);
  EXPECT_ANY_THROW(strided_copy(nullptr, nullptr, Shape{2}, {1}, 0, 3));
}

TEST(StridedStore, PutsWhatCopyTakes) {
  RandomStream random(2);
  for (int trial = 0; trial < 300; ++trial) {
    const Case c = random_case(random, false);
    const auto at = offsets(c.shape, c.strides, 2);
    const std::int64_t largest = at.empty() ? 2 : *std::max_element(at.begin(), at.end());
    Guarded<std::uint32_t> x(c.shape.size()), out(largest + 3);
    for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint32_t>(i) + 1;
    std::vector<std::uint32_t> want(static_cast<std::size_t>(out.size()), 7);
    for (std::int64_t i = 0; i < out.size(); ++i) out[i] = 7;
    for (std::size_t i = 0; i < at.size(); ++i)
      want[static_cast<std::size_t>(at[i])] = static_cast<std::uint32_t>(i) + 1;
    strided_store(x.data(), out.data(), c.shape, c.strides, 2, 4);
    ASSERT_TRUE(out.intact());
    ASSERT_TRUE(testing::same_bits(out.data(), want.data(), out.size())) << to_string(c.shape);
  }
}

TEST(Rows, GatherAndScatterAdd) {
  for (const DType type :
       {DType::float32, DType::float64, DType::bfloat16, DType::int32, DType::int64}) {
    dispatch(type, [&](auto zero) {
      using T = decltype(zero);
      if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, std::uint8_t>) {
        for (const std::int64_t row : {1, 2, 5, 16, 33}) {
          const std::vector<std::int64_t> index = {3, 0, 3, 6, 3};
          Guarded<T> table(7 * row), out(5 * row), sums(7 * row);
          const auto value = [](std::int64_t i) {
            return static_cast<T>(static_cast<float>(i % 13));
          };
          for (std::int64_t i = 0; i < table.size(); ++i) table[i] = value(i), sums[i] = value(0);
          gather_rows(table.data(), index.data(), out.data(), 5, row, type);
          ASSERT_TRUE(out.intact());
          for (std::int64_t i = 0; i < 5; ++i) {
            ASSERT_TRUE(testing::same_bits(&out[i * row],
                                           &table[index[static_cast<std::size_t>(i)] * row], row));
          }
          scatter_add_rows(out.data(), index.data(), sums.data(), 5, row, type);
          ASSERT_TRUE(sums.intact());
          for (std::int64_t i = 0; i < 7; ++i) {
            const float times = i == 3 ? 3 : (i == 0 || i == 6 ? 1 : 0);
            for (std::int64_t j = 0; j < row; ++j) {
              ASSERT_EQ(static_cast<float>(sums[i * row + j]),
                        times * static_cast<float>(table[i * row + j]));
            }
          }
        }
      }
    });
  }
}

TEST(RandomUniform, IsTheStreamOfBase) {
  const std::uint64_t key = 0x123456789abcdefu, stream = 0xfedcba9876543210u;
  // A start whose block number passes 32 bits, and every offset inside a block.
  for (const std::int64_t first : {std::int64_t{0}, std::int64_t{1}, std::int64_t{63},
                                   std::int64_t{1} << 33, (std::int64_t{1} << 34) - 5}) {
    for (const std::int64_t n : {0, 1, 3, 4, 63, 64, 65, 200}) {
      Guarded<float> x(n, 1);
      Guarded<double> y(n, 1);
      random_uniform(key, stream, first, n, x.data(), DType::float32);
      random_uniform(key, stream, first, n, y.data(), DType::float64);
      ASSERT_TRUE(x.intact() && y.intact());
      const auto block = [&](std::int64_t b) {
        const auto u = static_cast<std::uint64_t>(b);
        return philox(
            {static_cast<std::uint32_t>(u), static_cast<std::uint32_t>(u >> 32),
             static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
            key);
      };
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t e = first + i;
        ASSERT_EQ(x[i], unit_float(block(e / 4)[static_cast<std::size_t>(e % 4)]));
        const auto words = block(e / 2);
        const auto w = static_cast<std::size_t>(e % 2 * 2);
        ASSERT_EQ(y[i], unit_double(words[w], words[w + 1]));
      }
    }
  }
  float x;
  EXPECT_ANY_THROW(random_uniform(1, 2, 0, 1, &x, DType::bfloat16));
}

TEST(RandomUniform, LooksUniform) {
  const std::int64_t n = 1 << 16;
  std::vector<float> x(static_cast<std::size_t>(n));
  random_uniform(42, 7, 0, n, x.data(), DType::float32);
  double mean = 0, square = 0;
  for (const float v : x) {
    ASSERT_GE(v, 0.0f);
    ASSERT_LT(v, 1.0f);
    mean += v / static_cast<double>(n);
    square += static_cast<double>(v) * v / static_cast<double>(n);
  }
  // Five standard deviations of the mean of 2^16 draws: 5 * 0.2887 / 256 and 5 * 0.2981 / 256.
  EXPECT_NEAR(mean, 0.5, 0.0057);
  EXPECT_NEAR(square, 1.0 / 3, 0.0059);
}

}  // namespace
}  // namespace descent::kernels
