// Decompositions: what they promise of their results (derivatives: operation_test.cpp).
#include "descent/ops/linalg.h"

#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

std::vector<Array> computed_by(const Fn& f, const std::vector<Array>& x) { return evaluate(f, x); }

// Largest |a - b|.
double distance(const Array& a, const Array& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  for (std::int64_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(a.item(i) - b.item(i)));
  return most;
}

Array identity_matrix(std::int64_t n, DType dtype) {
  Array a(dtype, {n, n});
  for (std::int64_t i = 0; i < n; ++i) a.set_item(i * n + i, 1);
  return a;
}

// Results are rounded to their type once; the products that check them round n times.
double tolerance(DType dtype, std::int64_t n) {
  return (dtype == DType::float64 ? 2e-15 : 4e-7) * static_cast<double>(n + 4);
}

class Sized : public testing::TestWithParam<std::tuple<std::int64_t, DType>> {};
INSTANTIATE_TEST_SUITE_P(, Sized,
                         testing::Combine(testing::Values(1, 2, 3, 5, 16, 33, 97),
                                          testing::Values(DType::float64, DType::float32)),
                         [](const auto& p) {
                           return std::to_string(std::get<0>(p.param)) + "_" +
                                  std::string(name_of(std::get<1>(p.param)));
                         });

TEST_P(Sized, EighGivesBackTheSymmetricPart) {
  const auto [n, dtype] = GetParam();
  const auto x = random_array({n, n}, 5, -1, 1, dtype);
  const auto out = computed_by(
      [](ValueSpan in) {
        const auto e = eigh(in[0]);
        return Values{e.values, e.vectors,
                      matmul(e.vectors * expand_dims(e.values, 0), e.vectors, false, true),
                      matmul(e.vectors, e.vectors, true), 0.5 * (in[0] + transpose(in[0]))};
      },
      {x});
  for (std::int64_t i = 1; i < n; ++i) EXPECT_LE(out[0].item(i - 1), out[0].item(i));
  // The matrix is of size sqrt(n).
  const double size = std::sqrt(static_cast<double>(n));
  EXPECT_LE(distance(out[2], out[4]), size * tolerance(dtype, n));
  EXPECT_LE(distance(out[3], identity_matrix(n, dtype)), tolerance(dtype, n));
  for (std::int64_t j = 0; j < n; ++j) {
    double largest = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double v = out[1].item(i * n + j);
      if (std::abs(v) > std::abs(largest)) largest = v;
    }
    EXPECT_GT(largest, 0) << "vector " << j;
  }
}

TEST_P(Sized, QrGivesBackTheMatrix) {
  const auto [n, dtype] = GetParam();
  for (const auto& shape : {Shape{n, n}, Shape{n + 3, n}, Shape{n, n + 3}}) {
    const auto x = random_array(shape, 6, -1, 1, dtype);
    const auto out = computed_by(
        [](ValueSpan in) {
          const auto d = qr(in[0]);
          return Values{d.q, d.r, matmul(d.q, d.r), matmul(d.q, d.q, true)};
        },
        {x});
    EXPECT_LE(distance(out[2], x), tolerance(dtype, n));
    EXPECT_LE(distance(out[3], identity_matrix(out[0].shape()[1], dtype)), tolerance(dtype, n));
    const auto rows = out[1].shape()[0], columns = out[1].shape()[1];
    for (std::int64_t i = 0; i < rows; ++i) {
      EXPECT_GE(out[1].item(i * columns + i), 0);
      for (std::int64_t j = 0; j < i; ++j) EXPECT_EQ(out[1].item(i * columns + j), 0);
    }
  }
}

TEST_P(Sized, SolveSpdSolves) {
  const auto [n, dtype] = GetParam();
  const auto x = random_array({n, n}, 7, -1, 1, dtype), b = random_array({n, 3}, 8, -1, 1, dtype);
  const auto out = computed_by(
      [](ValueSpan in) {
        const auto a = matmul(in[0], in[0], false, true) + eye(in[0].shape()[0], in[0].dtype());
        return Values{matmul(a, solve_spd(a, in[1]))};
      },
      {x, b});
  // The residual is relative to |a| |x|, and |a| is at most some 2 n.
  EXPECT_LE(distance(out[0], b), 2 * static_cast<double>(n) * tolerance(dtype, n));
}

// Known by hand: [[2, 1], [1, 2]] has 1 along (1, -1) and 3 along (1, 1).
TEST(Eigh, OfTwoByTwo) {
  const auto out = computed_by(
      [](ValueSpan in) {
        const auto e = eigh(in[0]);
        return Values{e.values, abs(e.vectors)};
      },
      {Array::from<double>({2, 1, 1, 2}, {2, 2})});
  EXPECT_NEAR(out[0].item(0), 1, 1e-15);
  EXPECT_NEAR(out[0].item(1), 3, 1e-15);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(out[1].item(i), std::sqrt(0.5), 1e-15);
}

// Equal and zero eigenvalues, and sizes whose squares overflow or vanish.
TEST(Eigh, OfAwkwardMatrices) {
  for (const double size : {0.0, 1.0, 1e-200, 1e200}) {
    Array x(DType::float64, {3, 3});
    for (const int i : {0, 4}) x.set_item(i, 2 * size);
    x.set_item(8, -size);
    const auto out = computed_by(
        [](ValueSpan in) {
          const auto e = eigh(in[0]);
          return Values{e.values, matmul(e.vectors, e.vectors, true)};
        },
        {x});
    EXPECT_THAT(out[0].to_vector(), testing::ElementsAre(-size, 2 * size, 2 * size));
    EXPECT_LE(distance(out[1], identity_matrix(3, DType::float64)), 1e-15);
  }
}

// The derivative of a function of the matrix alone is right where values are equal, too: the trace
// of the square, 2 x.
TEST(Eigh, DerivativeWithEqualValuesIsFinite) {
  const auto x = identity_matrix(3, DType::float64);
  const auto g = evaluate(grad([](ValueSpan in) {
                            const auto e = eigh(in[0]);
                            return sum(square(e.vectors * expand_dims(e.values, 0)));
                          }),
                          {x});
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_NEAR(g[0].item(i), i % 4 == 0 ? 2 : 0, 1e-14);
}

TEST(Decompositions, OfWhatIsNotANumberAreNone) {
  Array x = identity_matrix(3, DType::float32);
  x.set_item(1, std::nan(""));
  const auto out = computed_by(
      [](ValueSpan in) {
        const auto e = eigh(in[0]);
        const auto d = qr(in[0]);
        return Values{e.values, e.vectors, d.q, d.r, solve_spd(in[0], in[0])};
      },
      {x});
  for (const auto& a : out) {
    for (const double v : a.to_vector()) EXPECT_TRUE(std::isnan(v));
  }
}

TEST(SolveSpd, OfAnIndefiniteMatrixIsNoNumber) {
  const auto out = computed_by([](ValueSpan in) { return Values{solve_spd(in[0], in[0])}; },
                               {Array::from<double>({1, 2, 2, 1}, {2, 2})});
  for (const double v : out[0].to_vector()) EXPECT_TRUE(std::isnan(v));
}

TEST(FallingOrder, SortsEachRow) {
  const auto out = computed_by([](ValueSpan in) { return Values{falling_order(in[0])}; },
                               {Array::from<double>({1, 3, 2, 3, std::nan(""), 0, -1, 5}, {2, 4})});
  EXPECT_THAT(out[0].to_vector(), testing::ElementsAre(1, 3, 2, 0, 3, 1, 2, 0));
}

// Each matrix of a batch as if it were alone.
TEST(Decompositions, TakeBatches) {
  const auto x = random_array({2, 3, 5, 5}, 9), y = random_array({2, 3, 5, 2}, 10);
  const Fn f = [](ValueSpan in) {
    const auto e = eigh(in[0]);
    const auto d = qr(in[1]);
    const auto a = matmul(in[0], in[0], false, true);
    return Values{e.values, e.vectors, d.q, d.r, solve_spd(a, in[1])};
  };
  const auto all = computed_by(f, {x, y});
  for (std::int64_t i = 0; i < 6; ++i) {
    const auto at = [i](const Array& a) {
      const auto& s = a.shape();
      std::vector<std::int64_t> rest(s.begin() + 2, s.end());
      auto flat = rest;
      flat.insert(flat.begin(), 6);
      return a.reshaped(Shape(flat)).rows(i, i + 1).reshaped(Shape(rest));
    };
    const auto one = computed_by(f, {at(x), at(y)});
    for (std::size_t k = 0; k < all.size(); ++k) {
      EXPECT_TRUE(identical(at(all[k]), one[k])) << "matrix " << i << ", result " << k;
    }
  }
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Decompositions, SayWhatTheyWant) {
  using testing::HasSubstr;
  const Value wide = input({DType::float32, {2, 3}}), square = input({DType::float32, {3, 3}}),
              whole = input({DType::int64, {3, 3}});
  EXPECT_THAT(error_of([&] { eigh(wide); }), HasSubstr("eigh(float32[2, 3]): the matrix must be"));
  EXPECT_THAT(error_of([&] { eigh(whole); }), HasSubstr("not defined for int64"));
  EXPECT_THAT(error_of([&] { qr(input({DType::float32, {3}})); }), HasSubstr("wants matrices"));
  EXPECT_THAT(error_of([&] { solve_spd(square, wide); }),
              HasSubstr("inner extents differ: 3 and 2"));
  EXPECT_THAT(error_of([&] { gradients(Values{qr(square).q}, Values{square}, Values{square}); }),
              HasSubstr("qr(float32[3, 3]): has no derivative"));
}

}  // namespace
}  // namespace descent::test
