#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "descent/kernels/eltwise.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/cast.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// Plain loops: compiled once per target, the compiler makes vectors of them.
template <class To, class From>
HWY_INLINE To Convert(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, bfloat16>) {
    return Convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Outside the range conversion is undefined: the nearest end instead, and 0 for NaN.
    constexpr auto low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr To half = std::numeric_limits<To>::max() / 2 + 1;  // a power of two: exact in From
    constexpr auto end = static_cast<From>(half) * 2;
    if (x >= end) return std::numeric_limits<To>::max();
    if (x <= low) return std::numeric_limits<To>::min();
    return x == x ? static_cast<To>(x) : To{0};
  } else {
    return static_cast<To>(x);
  }
}

template <class From, class To>
void Cast(const void* in, void* out, std::int64_t n) {
  if constexpr (std::is_same_v<From, To>) {
    std::memmove(out, in, static_cast<std::size_t>(n) * sizeof(To));
  } else {
    const auto* x = static_cast<const From*>(in);
    auto* y = static_cast<To*>(out);
    for (std::int64_t i = 0; i < n; ++i) y[i] = Convert<To>(x[i]);
  }
}

CastFn FindCast(DType from, DType to) {
  return dispatch(from, [to](auto f) {
    return dispatch(to, [](auto t) -> CastFn { return &Cast<decltype(f), decltype(t)>; });
  });
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(FindCast);
CastFn cast_kernel(DType from, DType to) { return HWY_DYNAMIC_DISPATCH(FindCast)(from, to); }
}  // namespace descent::kernels
#endif
