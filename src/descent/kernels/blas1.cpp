#include "descent/kernels/blas1.h"

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/blas1.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what this means.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t kPartial = 32;
using D = hn::CappedTag<double, 8>;  // at most 8, so that 32 is a multiple

HWY_INLINE double Total(double* partial) {
  for (std::int64_t half = kPartial / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) partial[i] += partial[i + half];
  }
  return partial[0];
}

// The sum of what take(d, i) gives for each vector of elements from i on, and rest(i) for each of
// the last few elements.
template <class Take, class Rest>
HWY_INLINE double Sum(std::int64_t n, const Take& take, const Rest& rest) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN double partial[kPartial] = {};
  const std::int64_t whole = n - n % kPartial;
  const std::int64_t count = kPartial / lanes;
  // Four vectors of partial sums at a time stay in registers.
  for (std::int64_t group = 0; group < count; group += 4) {
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const std::int64_t from = group * lanes;
    for (std::int64_t i = from; i < whole; i += kPartial) {
      s0 = hn::Add(s0, take(d, i));
      s1 = hn::Add(s1, take(d, i + lanes));
      s2 = hn::Add(s2, take(d, i + 2 * lanes));
      s3 = hn::Add(s3, take(d, i + 3 * lanes));
    }
    hn::Store(s0, d, partial + from);
    hn::Store(s1, d, partial + from + lanes);
    hn::Store(s2, d, partial + from + 2 * lanes);
    hn::Store(s3, d, partial + from + 3 * lanes);
  }
  for (std::int64_t i = whole; i < n; ++i) partial[i - whole] += rest(i);
  return Total(partial);
}

double Dot(const double* a, const double* b, std::int64_t n) {
  return Sum(
      n,
      [=](D d, std::int64_t i)
          HWY_ATTR { return hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i)); },
      [=](std::int64_t i) { return a[i] * b[i]; });
}
double AddScaledDot(double alpha, const double* x, double* y, const double* z, std::int64_t n) {
  return Sum(
      n,
      [=](D d, std::int64_t i) HWY_ATTR {
        const auto v =
            hn::Add(hn::LoadU(d, y + i), hn::Mul(hn::Set(d, alpha), hn::LoadU(d, x + i)));
        hn::StoreU(v, d, y + i);
        return hn::Mul(v, hn::LoadU(d, z + i));
      },
      [=](std::int64_t i) {
        y[i] += alpha * x[i];
        return y[i] * z[i];
      });
}
double SubtractDot(const double* x, const double* y, double* z, std::int64_t n) {
  return Sum(
      n,
      [=](D d, std::int64_t i) HWY_ATTR {
        const auto v = hn::Sub(hn::LoadU(d, x + i), hn::LoadU(d, y + i));
        hn::StoreU(v, d, z + i);
        return hn::Mul(v, v);
      },
      [=](std::int64_t i) {
        z[i] = x[i] - y[i];
        return z[i] * z[i];
      });
}
void AddScaled(double alpha, const double* x, const double* y, double* z, std::int64_t n) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, alpha);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::Mul(factor, hn::LoadU(d, x + i))), d, z + i);
  }
  for (; i < n; ++i) z[i] = y[i] + alpha * x[i];
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Dot);
HWY_EXPORT(AddScaledDot);
HWY_EXPORT(AddScaled);
HWY_EXPORT(SubtractDot);
}  // namespace

double dot(const double* a, const double* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, n);
}
double add_scaled_dot(double alpha, const double* x, double* y, const double* z, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(AddScaledDot)(alpha, x, y, z, n);
}
void add_scaled(double alpha, const double* x, double* y, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(alpha, x, y, y, n);
}
void add_scaled(double alpha, const double* x, const double* y, double* z, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(alpha, x, y, z, n);
}
double subtract_dot(const double* x, const double* y, double* z, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(SubtractDot)(x, y, z, n);
}

}  // namespace descent::kernels
#endif
