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

// Few channels leave room in a vector for those of several places side by side in a row of the
// result. In the image these lie stride_w * c apart, which takes a load or store for each. Without
// masked memory access there is nothing to gain.
class Neighbours {
 public:
  using D = hn::ScalableTag<float>;
  using DI = hn::RebindToSigned<D>;
  explicit Neighbours(const PoolShape& p) : step_((p.stride_w - 1) * p.c) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    most_ = HWY_MEM_OPS_MIGHT_FAULT ? 1 : lanes / std::clamp<std::int64_t>(p.c, 1, lanes);
    if (most_ == 1) return;
    HWY_ALIGN std::int32_t column[hn::MaxLanes(DI())] = {};
    for (std::int64_t i = 0; i < most_; ++i) {
      const auto begin = static_cast<std::size_t>(i * p.c),
                 end = begin + static_cast<std::size_t>(p.c);
      mask_[i] = hn::AndNot(hn::FirstN(D(), begin), hn::FirstN(D(), end));
      std::fill(column + begin, column + end, static_cast<std::int32_t>(i * p.stride_w));
    }
    column_ = hn::Load(DI(), column);
  }
  std::int64_t most() const { return most_; }
  // Of each lane: how many columns of the image its place is right of the first one.
  hn::Vec<DI> column() const { return column_; }
  // A pixel of each of `count` places; x: the first one's.
  HWY_INLINE hn::Vec<D> Load(const float* x, std::int64_t count) const {
    auto v = hn::MaskedLoad(mask_[0], D(), x);
    for (std::int64_t i = 1; i < count; ++i)
      v = hn::Or(v, hn::MaskedLoad(mask_[i], D(), x + i * step_));
    return v;
  }
  HWY_INLINE void Store(hn::Vec<D> v, float* x, std::int64_t count) const {
    for (std::int64_t i = 0; i < count; ++i) hn::BlendedStore(v, mask_[i], D(), x + i * step_);
  }

 private:
  std::int64_t step_, most_;
  hn::Mask<D> mask_[hn::MaxLanes(D())];
  hn::Vec<DI> column_;
};

// Calls f(first element in the result, first element of the window's first column in the image,
// window, how many elements, how many places) for vectors of the result: channels of one place, or
// of several whose windows lie inside the image.
template <class F>
HWY_INLINE void EachPart(const PoolShape& p, std::int64_t most, const F& f) {
  const hn::ScalableTag<float> d;
  const std::int64_t out_h = p.out_h(), out_w = p.out_w();
  // Windows that neither side cuts off.
  const std::int64_t begin = (p.pad_w + p.stride_w - 1) / p.stride_w,
                     end = most > 1 ? (p.w + p.pad_w - p.s) / p.stride_w + 1 : 0;
  std::int64_t o = 0;
  for (std::int64_t image = 0; image < p.n * p.h * p.w * p.c; image += p.h * p.w * p.c) {
    for (std::int64_t oh = 0; oh < out_h; ++oh) {
      for (std::int64_t ow = 0, places = 1; ow < out_w; ow += places, o += places * p.c) {
        const PoolWindow v = pool_window(p, oh, ow);
        places = ow < begin ? 1 : std::max<std::int64_t>(1, std::min(most, end - ow));
        if (places > 1) {
          f(o, image, v, static_cast<std::size_t>(places * p.c), places);
        } else {
          EachVector(d, p.c, [&](std::int64_t c, std::size_t elements) HWY_ATTR {
            f(o + c, image + c, v, elements, std::int64_t{1});
          });
        }
      }
    }
  }
}

// Calls f(pixel) for all but the first pixel of a window, in order; the common one is unrolled.
template <class F>
HWY_INLINE void EachOther(const PoolShape& p, const PoolWindow& v, const F& f) {
  const auto first = static_cast<std::int32_t>(v.h0 * p.w + v.w0),
             row = static_cast<std::int32_t>(p.w);
  const auto rows = static_cast<std::int32_t>(v.h1 - v.h0),
             columns = static_cast<std::int32_t>(v.w1 - v.w0);
  if (rows == 2 && columns == 2) {
    f(first + 1);
    f(first + row);
    f(first + row + 1);
    return;
  }
  for (std::int32_t h = 0; h < rows; ++h) {
    for (std::int32_t w = h == 0 ? 1 : 0; w < columns; ++w) f(first + h * row + w);
  }
}

void MaxPool32(const PoolShape& p, const float* x, float* y, std::int32_t* index) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const Neighbours neighbours(p);
  EachPart(p, neighbours.most(),
           [&](std::int64_t o, std::int64_t image, const PoolWindow& v, std::size_t elements,
               std::int64_t places) HWY_ATTR {
             const auto load = [&](std::int32_t at) HWY_ATTR {
               const float* from = x + image + at * p.c;
               return places > 1 ? neighbours.Load(from, places) : LoadSome(d, from, elements);
             };
             const auto first = static_cast<std::int32_t>(v.h0 * p.w + v.w0);
             auto best = load(first);
             auto place = hn::Set(di, first);
             EachOther(p, v, [&](std::int32_t at) HWY_ATTR {
               const auto from = load(at);
               // Greater, or the first NaN.
               const auto better = hn::AndNot(hn::Le(from, best), hn::Eq(best, best));
               best = hn::IfThenElse(better, from, best);
               place = hn::IfThenElse(hn::RebindMask(di, better), hn::Set(di, at), place);
             });
             if (places > 1) place = hn::Add(place, neighbours.column());
             StoreSome(best, d, y + o, elements);
             StoreSome(place, di, index + o, elements);
           });
}

// Where windows do not overlap, each pixel gets one share or none: no sums.
void PoolSpread32(const PoolShape& p, const float* g, const std::int32_t* index, float* dx) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const Neighbours neighbours(p);
  EachPart(p, neighbours.most(),
           [&](std::int64_t o, std::int64_t image, const PoolWindow& v, std::size_t elements,
               std::int64_t places) HWY_ATTR {
             // -0 as a sum: 0
             const auto share = hn::Add(LoadSome(d, g + o, elements), hn::Zero(d));
             auto place = LoadSome(di, index + o, elements);
             if (places > 1) place = hn::Sub(place, neighbours.column());
             const auto store = [&](std::int32_t at) HWY_ATTR {
               const auto mine = hn::RebindMask(d, hn::Eq(place, hn::Set(di, at)));
               const auto value = hn::IfThenElseZero(mine, share);
               float* to = dx + image + at * p.c;
               if (places > 1) {
                 neighbours.Store(value, to, places);
               } else {
                 StoreSome(value, d, to, elements);
               }
             };
             store(static_cast<std::int32_t>(v.h0 * p.w + v.w0));
             EachOther(p, v, store);
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
  const bool apart = p.stride_h >= p.r && p.stride_w >= p.s,
             // Every pixel lies in a window.
      all = p.pad_h == 0 && p.pad_w == 0 && p.out_h() * p.r == p.h && p.out_w() * p.s == p.w;
  if (!(std::is_same_v<T, float> && apart && all)) std::fill_n(dx, p.n * p.c * p.h * p.w, T{0});
  if constexpr (std::is_same_v<T, float>) {
    if (apart) return PoolSpread32(p, g, index, dx);
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
