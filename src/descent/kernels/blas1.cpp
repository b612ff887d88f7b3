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

// y += alpha x where Update; the sum of y z.
template <bool Update>
HWY_INLINE double Pass(double alpha, const double* x, double* y, const double* z, std::int64_t n) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN double partial[kPartial] = {};
  const auto factor = hn::Set(d, alpha);
  const std::int64_t whole = n - n % kPartial;
  const std::int64_t count = kPartial / lanes;
  // Four vectors of partial sums at a time stay in registers.
  for (std::int64_t group = 0; group < count; group += 4) {
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const auto take = [&](std::int64_t i, hn::Vec<D>& s) HWY_ATTR {
      auto v = hn::LoadU(d, y + i);
      if (Update) {
        v = hn::Add(v, hn::Mul(factor, hn::LoadU(d, x + i)));
        hn::StoreU(v, d, y + i);
      }
      s = hn::Add(s, hn::Mul(v, hn::LoadU(d, z + i)));
    };
    const std::int64_t from = group * lanes;
    for (std::int64_t i = from; i < whole; i += kPartial) {
      take(i, s0);
      take(i + lanes, s1);
      take(i + 2 * lanes, s2);
      take(i + 3 * lanes, s3);
    }
    hn::Store(s0, d, partial + from);
    hn::Store(s1, d, partial + from + lanes);
    hn::Store(s2, d, partial + from + 2 * lanes);
    hn::Store(s3, d, partial + from + 3 * lanes);
  }
  for (std::int64_t i = whole; i < n; ++i) {
    if (Update) y[i] += alpha * x[i];
    partial[i - whole] += y[i] * z[i];
  }
  return Total(partial);
}

double Dot(const double* a, const double* b, std::int64_t n) {
  return Pass<false>(0, nullptr, const_cast<double*>(a), b, n);  // which writes nothing
}
double AddScaledDot(double alpha, const double* x, double* y, const double* z, std::int64_t n) {
  return Pass<true>(alpha, x, y, z, n);
}
void AddScaled(double alpha, const double* x, double* y, std::int64_t n) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, alpha);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::Mul(factor, hn::LoadU(d, x + i))), d, y + i);
  }
  for (; i < n; ++i) y[i] += alpha * x[i];
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Dot);
HWY_EXPORT(AddScaledDot);
HWY_EXPORT(AddScaled);
}  // namespace

double dot(const double* a, const double* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(Dot)(a, b, n);
}
double add_scaled_dot(double alpha, const double* x, double* y, const double* z, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(AddScaledDot)(alpha, x, y, z, n);
}
void add_scaled(double alpha, const double* x, double* y, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(alpha, x, y, n);
}

}  // namespace descent::kernels
#endif
