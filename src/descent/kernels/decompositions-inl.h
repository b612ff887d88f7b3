// What the decompositions are made of, in double. Included once per target (foreach_target.h).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

#if defined(DESCENT_DECOMPOSITIONS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_DECOMPOSITIONS_INL_H
#undef DESCENT_DECOMPOSITIONS_INL_H
#else
#define DESCENT_DECOMPOSITIONS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<double>;

// ---- vectors ----

// In four interleaved sums, which hide the latency of additions.
HWY_INLINE double Dot(const double* a, const double* b, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
    s1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), s1);
    s2 = hn::MulAdd(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), s2);
    s3 = hn::MulAdd(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), s3);
  }
  for (; i + lanes <= n; i += lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

// y += f x
HWY_INLINE void AddTimes(double f, const double* x, double* y, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, f);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  }
  for (; i < n; ++i) y[i] += f * x[i];
}

// ---- elements ----

template <class T>
double LargestOf(const T* a, std::int64_t n) {
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double size = std::abs(static_cast<double>(a[i]));
    if (!(size <= largest)) largest = size;  // a NaN stays
    if (!std::isfinite(largest)) return largest;
  }
  return largest;
}

template <class T>
void FillNaN(void* to, std::int64_t n) {
  std::fill_n(static_cast<T*>(to), n, std::numeric_limits<T>::quiet_NaN());
}

// (a + a^T) / 2 times `factor`.
template <class T>
void CopySymmetric(const T* a, double factor, double* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double both = static_cast<double>(a[i * n + j]) + static_cast<double>(a[j * n + i]);
      to[i * n + j] = to[j * n + i] = 0.5 * factor * both;
    }
  }
}

// ---- reflections ----

// The reflection H = I - tau v v^T that takes x to (alpha, 0, ...); x becomes v.
struct Reflection {
  double alpha, tau;
};
HWY_INLINE Reflection Reflect(double* x, std::int64_t n) {
  const double first = x[0], rest = n > 1 ? Dot(x + 1, x + 1, n - 1) : 0;
  if (rest == 0) return {first, 0};
  const double alpha = -std::copysign(std::sqrt(first * first + rest), first);
  x[0] = first - alpha;
  return {alpha, 2 / (x[0] * x[0] + rest)};
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
