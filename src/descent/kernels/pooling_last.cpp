// Pooling of images with channels last: the same numbers as pooling.cpp, a vector of channels of a
// place at a time. Where loops over channels are plain, the compiler makes vectors of them.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "descent/kernels/convolution.h"
#include "descent/kernels/pooling.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/pooling_last.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// Calls f(first element of the place in the result, first element of the image, window).
template <class F>
HWY_INLINE void EachPlace(const PoolShape& p, const F& f) {
  std::int64_t o = 0;
  for (std::int64_t n = 0; n < p.n; ++n) {
    for (std::int64_t oh = 0; oh < p.out_h(); ++oh) {
      for (std::int64_t ow = 0; ow < p.out_w(); ++ow, o += p.c)
        f(o, n * p.h * p.w * p.c, pool_window(p, oh, ow));
    }
  }
}

// Calls f(first channel, how many) for a vector of channels at a time.
template <class D, class F>
HWY_INLINE void EachVector(D d, std::int64_t channels, const F& f) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t c = 0; c < channels; c += lanes)
    f(c, static_cast<std::size_t>(std::min(lanes, channels - c)));
}

void MaxPool32(const PoolShape& p, const float* x, float* y, std::int32_t* index) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow v) HWY_ATTR {
    EachVector(d, p.c, [&](std::int64_t c, std::size_t count) HWY_ATTR {
      const auto first = static_cast<std::int32_t>(v.h0 * p.w + v.w0);
      auto best = LoadSome(d, x + image + first * p.c + c, count);
      auto place = hn::Set(di, first);
      for (std::int64_t h = v.h0; h < v.h1; ++h) {
        for (std::int64_t w = v.w0; w < v.w1; ++w) {
          const auto at = static_cast<std::int32_t>(h * p.w + w);
          const auto from = LoadSome(d, x + image + at * p.c + c, count);
          const auto better =
              hn::Or(hn::Gt(from, best), hn::And(hn::IsNaN(from), hn::Not(hn::IsNaN(best))));
          best = hn::IfThenElse(better, from, best);
          place = hn::IfThenElse(hn::RebindMask(di, better), hn::Set(di, at), place);
        }
      }
      StoreSome(best, d, y + o + c, count);
      StoreSome(place, di, index + o + c, count);
    });
  });
}

// Where windows do not overlap, each pixel gets one share or none: no sums.
void PoolSpread32(const PoolShape& p, const float* g, const std::int32_t* index, float* dx) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow v) HWY_ATTR {
    EachVector(d, p.c, [&](std::int64_t c, std::size_t count) HWY_ATTR {
      const auto share = hn::Add(LoadSome(d, g + o + c, count), hn::Zero(d));  // -0 as a sum: 0
      const auto place = LoadSome(di, index + o + c, count);
      for (std::int64_t h = v.h0; h < v.h1; ++h) {
        for (std::int64_t w = v.w0; w < v.w1; ++w) {
          const auto at = static_cast<std::int32_t>(h * p.w + w);
          const auto mine = hn::RebindMask(d, hn::Eq(place, hn::Set(di, at)));
          StoreSome(hn::IfThenElseZero(mine, share), d, dx + image + at * p.c + c, count);
        }
      }
    });
  });
}

template <class T>
void MaxPool(const PoolShape& p, const T* x, T* y, std::int32_t* index) {
  if constexpr (std::is_same_v<T, float>) return MaxPool32(p, x, y, index);
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow v) {
    T* HWY_RESTRICT best = y + o;
    std::int32_t* HWY_RESTRICT place = index + o;
    const auto first = static_cast<std::int32_t>(v.h0 * p.w + v.w0);
    std::copy_n(x + image + first * p.c, p.c, best);
    std::fill_n(place, p.c, first);
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t w = v.w0; w < v.w1; ++w) {
        const auto at = static_cast<std::int32_t>(h * p.w + w);
        const T* HWY_RESTRICT from = x + image + at * p.c;
        for (std::int64_t c = 0; c < p.c; ++c) {
          const bool better = from[c] > best[c] || (from[c] != from[c] && best[c] == best[c]);
          best[c] = better ? from[c] : best[c];
          place[c] = better ? at : place[c];
        }
      }
    }
  });
}

template <class T>
void PoolGather(const PoolShape& p, const T* x, const std::int32_t* index, T* out) {
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow) {
    for (std::int64_t c = 0; c < p.c; ++c) out[o + c] = x[image + index[o + c] * p.c + c];
  });
}

template <class T>
void PoolScatter(const PoolShape& p, const T* g, const std::int32_t* index, T* dx) {
  if constexpr (std::is_same_v<T, float>) {
    if (p.stride_h >= p.r && p.stride_w >= p.s) return PoolSpread32(p, g, index, dx);
  }
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow) {
    for (std::int64_t c = 0; c < p.c; ++c) dx[image + index[o + c] * p.c + c] += g[o + c];
  });
}

template <class T>
void AveragePool(const PoolShape& p, const T* x, T* y) {
  const T scale = T{1} / static_cast<T>(p.r * p.s);
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow v) {
    T* HWY_RESTRICT sum = y + o;
    std::fill_n(sum, p.c, T{0});
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t w = v.w0; w < v.w1; ++w) {
        const T* HWY_RESTRICT from = x + image + (h * p.w + w) * p.c;
        for (std::int64_t c = 0; c < p.c; ++c) sum[c] += from[c];
      }
    }
    for (std::int64_t c = 0; c < p.c; ++c) sum[c] *= scale;
  });
}

template <class T>
void AveragePoolGradient(const PoolShape& p, const T* g, T* dx) {
  const T scale = T{1} / static_cast<T>(p.r * p.s);
  std::fill_n(dx, p.n * p.c * p.h * p.w, T{0});
  EachPlace(p, [&](std::int64_t o, std::int64_t image, PoolWindow v) {
    const T* HWY_RESTRICT from = g + o;
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t w = v.w0; w < v.w1; ++w) {
        T* HWY_RESTRICT to = dx + image + (h * p.w + w) * p.c;
        for (std::int64_t c = 0; c < p.c; ++c) to[c] += from[c] * scale;
      }
    }
  });
}

template <class T>
PoolFunctions<T> FunctionsOf() {
  return {&MaxPool<T>, &PoolGather<T>, &PoolScatter<T>, &AveragePool<T>, &AveragePoolGradient<T>};
}
PoolFunctions<float> Functions32() { return FunctionsOf<float>(); }
PoolFunctions<double> Functions64() { return FunctionsOf<double>(); }

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Functions32);
HWY_EXPORT(Functions64);
}  // namespace

template <>
PoolFunctions<float> pool_functions_last() {
  return HWY_DYNAMIC_DISPATCH(Functions32)();
}
template <>
PoolFunctions<double> pool_functions_last() {
  return HWY_DYNAMIC_DISPATCH(Functions64)();
}

}  // namespace descent::kernels
#endif
