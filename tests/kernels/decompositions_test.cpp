// Decompositions write what is theirs and nothing else, and allocate nothing. What they promise of
// their results: autodiff/linalg_test.cpp.
#include "descent/kernels/decompositions.h"

#include <cmath>
#include <string>
#include <vector>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {

using testing::Guarded;
using testing::Scratch;

Scratch scratch_of(std::int64_t doubles) {
  return Scratch(static_cast<std::size_t>(doubles) * sizeof(double));
}
double* at(Scratch& scratch) { return static_cast<double*>(scratch.data()); }

template <class T>
class Decompositions : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Decompositions, Types);

TYPED_TEST(Decompositions, KeepToTheirMemoryAndAllocateNothing) {
  using T = TypeParam;
  for (const std::int64_t m : {1, 2, 7, 33}) {
    for (const std::int64_t n : {1, 3, 8, 31}) {
      Guarded<T> a(n * n, 1), wide(m * n, 3), values(n), vectors(n * n), x(n * m),
          q(m * std::min(m, n)), r(std::min(m, n) * n);
      RandomStream random(7);
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j <= i; ++j) {
          a[i * n + j] = a[j * n + i] = static_cast<T>(random.uniform() + (i == j ? n : 0));
        }
      }
      for (std::int64_t i = 0; i < m * n; ++i) wide[i] = static_cast<T>(random.uniform());
      auto s1 = scratch_of(symmetric_eigen_scratch(n)), s2 = scratch_of(orthogonal_scratch(m, n)),
           s3 = scratch_of(positive_solve_scratch(n, m));
      const long before = testing::allocations();
      symmetric_eigen({dtype_of<T>, n, a.data(), values.data(), vectors.data()}, at(s1));
      orthogonal({dtype_of<T>, m, n, wide.data(), q.data(), r.data()}, at(s2));
      positive_solve({dtype_of<T>, n, m, a.data(), wide.data(), x.data()}, at(s3));
      EXPECT_EQ(testing::allocations(), before);
      for (const auto* s : {&s1, &s2, &s3}) EXPECT_TRUE(s->intact());
      for (const auto* g : {&a, &wide, &values, &vectors, &x, &q, &r}) EXPECT_TRUE(g->intact());
      for (std::int64_t i = 0; i < n * m; ++i) EXPECT_TRUE(std::isfinite(x[i]));
    }
  }
}

// Symmetric matrices with a spectrum of their own: A = R diag R with a reflection R, or a pattern.
std::vector<double> symmetric(const std::string& kind, std::int64_t n) {
  std::vector<double> a(static_cast<std::size_t>(n * n), 0.0), v(static_cast<std::size_t>(n));
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& {
    return a[static_cast<std::size_t>(i * n + j)];
  };
  RandomStream random(11);
  if (kind == "random" || kind == "blocks") {  // blocks: steps of changing ranges
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        const double x = random.uniform() - 0.5;
        at(i, j) = at(j, i) = kind == "blocks" && i / 7 != j / 7 ? 0 : x;
      }
    }
    return a;
  }
  double square = 0;
  for (double& x : v) x = random.uniform() - 0.3, square += x * x;
  const auto value = [&](std::int64_t i) {
    if (kind == "graded")
      return std::pow(10.0, -12 * static_cast<double>(i) / static_cast<double>(n));
    if (kind == "low rank") return i < 5 ? 1.0 + static_cast<double>(i) : 0.0;
    return i % 2 == 0 ? 1.0 : 2.0;  // two eigenvalues only
  };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const auto r = [&](std::int64_t p, std::int64_t q) {
          return (p == q ? 1.0 : 0.0) -
                 2 * v[static_cast<std::size_t>(p)] * v[static_cast<std::size_t>(q)] / square;
        };
        sum += r(i, k) * value(k) * r(k, j);
      }
      at(i, j) = sum;
    }
  }
  return a;
}

// From 64 or 128 rows on rotations are done many at once, and there is room for half of them only.
TEST(SymmetricEigen, OfLargeMatricesIsAccurate) {
  for (const std::int64_t n : {15, 63, 64, 65, 130, 257}) {
    for (const char* kind : {"random", "blocks", "graded", "low rank", "two values"}) {
      const auto a = symmetric(kind, n);
      Guarded<double> values(n), vectors(n * n);
      auto scratch = scratch_of(symmetric_eigen_scratch(n));
      symmetric_eigen({DType::float64, n, a.data(), values.data(), vectors.data()}, at(scratch));
      EXPECT_TRUE(scratch.intact() && values.intact() && vectors.intact()) << n << " " << kind;
      double norm = 0, residual = 0, angle = 0;
      for (const double x : a) norm += x * x;
      for (std::int64_t i = 0; i < n; ++i) {
        if (i > 0) {
          EXPECT_LE(values[i - 1], values[i]);
        }
        for (std::int64_t j = 0; j < n; ++j) {
          double av = 0, vv = 0;
          for (std::int64_t k = 0; k < n; ++k) {
            av += a[static_cast<std::size_t>(i * n + k)] * vectors[k * n + j];
            vv += vectors[k * n + i] * vectors[k * n + j];
          }
          residual += std::pow(av - vectors[i * n + j] * values[j], 2);
          angle += std::pow(vv - (i == j ? 1 : 0), 2);
        }
      }
      // Of n reflections and some n^2 rotations, each rounds to eps; the errors add up like n eps.
      const double eps = static_cast<double>(n) * 2.3e-16;
      EXPECT_LT(std::sqrt(residual / norm), 10 * eps) << n << " " << kind;
      EXPECT_LT(std::sqrt(angle / static_cast<double>(n)), 10 * eps) << n << " " << kind;
    }
  }
}

}  // namespace
}  // namespace descent::kernels
