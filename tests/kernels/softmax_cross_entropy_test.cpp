#include "descent/kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;

// Against the formula in long double, for logits of `scale`.
template <class T>
void check(std::int64_t rows, std::int64_t classes, double scale) {
  RandomStream random(static_cast<std::uint64_t>(rows * 7919 + classes));
  Guarded<T> x(rows * classes, classes % 3), loss(rows, 1), lse(rows, 2), g(rows, 1),
      d(rows * classes, classes % 2);
  std::vector<std::int64_t> label;
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(random.normal() * scale);
  for (std::int64_t i = 0; i < rows; ++i) {
    label.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(classes))));
    g[i] = static_cast<T>(random.normal());
  }
  const auto kernels = softmax_cross_entropy_kernels(dtype_of<T>);
  kernels.value(x.data(), label.data(), loss.data(), lse.data(), rows, classes);
  kernels.gradient(x.data(), label.data(), lse.data(), g.data(), d.data(), rows, classes);
  ASSERT_TRUE(x.intact() && loss.intact() && lse.intact() && g.intact() && d.intact());
  const double epsilon = std::numeric_limits<T>::epsilon();
  for (std::int64_t i = 0; i < rows; ++i) {
    const T* row = &x[0] + i * classes;
    const long double largest = *std::max_element(row, row + classes);
    long double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - largest);
    const long double want = largest + std::log(sum);
    // Some roundings of numbers as large as the largest logit, and of the sum.
    const double bound = 8 * epsilon * (1 + static_cast<double>(std::fabs(largest)) + 5 * scale);
    ASSERT_NEAR(static_cast<double>(lse[i]), static_cast<double>(want), bound);
    const auto y = label[static_cast<std::size_t>(i)];
    ASSERT_NEAR(static_cast<double>(loss[i]), static_cast<double>(want - row[y]), bound);
    for (std::int64_t c = 0; c < classes; ++c) {
      const long double p = std::exp(row[c] - want);
      const double expected = static_cast<double>((p - (c == y ? 1 : 0)) * g[i]);
      // exp of a number that is off by `bound`.
      ASSERT_NEAR(static_cast<double>(d[i * classes + c]), expected,
                  bound * std::fabs(static_cast<double>(g[i])));
    }
  }
}

TEST(SoftmaxCrossEntropy, MatchesTheFormula) {
  for (const std::int64_t classes : {1, 2, 3, 10, 16, 65, 100, 2048, 2049, 5000}) {
    for (const double scale : {1.0, 30.0}) {
      SCOPED_TRACE(classes);
      check<float>(7, classes, scale);
      check<double>(7, classes, scale);
    }
  }
  check<float>(1, 4, 1);
  check<float>(100, 4, 1);
}

TEST(SoftmaxCrossEntropy, GradientMayTakeTheLogitsPlace) {
  Guarded<float> x(6, 0), apart(6, 0), loss(2, 0), lse(2, 0), g(2, 0);
  for (int i = 0; i < 6; ++i) x[i] = static_cast<float>(i * i) / 7;
  g[0] = 1, g[1] = -2;
  const std::int64_t label[] = {2, 0};
  const auto kernels = softmax_cross_entropy_kernels(DType::float32);
  kernels.value(x.data(), label, loss.data(), lse.data(), 2, 3);
  kernels.gradient(x.data(), label, lse.data(), g.data(), apart.data(), 2, 3);
  kernels.gradient(x.data(), label, lse.data(), g.data(), x.data(), 2, 3);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(x[i], apart[i]);
}

TEST(SoftmaxCrossEntropy, NaNAndInfinityCannotHide) {
  for (const float odd : {NAN, INFINITY}) {
    Guarded<float> x(70, 0), loss(1, 0), lse(1, 0);
    for (int i = 0; i < 70; ++i) x[i] = 0;
    x[66] = odd;
    const std::int64_t label = 3;
    softmax_cross_entropy_kernels(DType::float32)
        .value(x.data(), &label, loss.data(), lse.data(), 1, 70);
    EXPECT_FALSE(std::isfinite(loss[0])) << odd;
  }
}

}  // namespace
}  // namespace descent::kernels
