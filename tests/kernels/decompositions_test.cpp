// Decompositions write what is theirs and nothing else, and allocate nothing. What they promise of
// their results: autodiff/linalg_test.cpp.
#include "descent/kernels/decompositions.h"

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

}  // namespace
}  // namespace descent::kernels
