#include "descent/kernels/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/layer_norm.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// Sums over a row of each of two functions of a vector's place, in four interleaved parts, which
// hide the latency of additions and keep rounding small.
template <class T>
struct Sums {
  T first, second;
};
template <class T, class F>
HWY_INLINE Sums<T> SumBoth(std::int64_t n, const F& f) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V a[4], b[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) a[k] = b[k] = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) f(i + k * lanes, static_cast<std::size_t>(lanes), a[k], b[k]);
  }
  for (; i < n; i += lanes) f(i, static_cast<std::size_t>(std::min(lanes, n - i)), a[0], b[0]);
  const auto total = [&](const V(&v)[4]) {
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(v[0], v[1]), hn::Add(v[2], v[3]))));
  };
  return {total(a), total(b)};
}

template <class T>
T Mean(const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto sums = SumBoth<T>(n, [&](std::int64_t i, std::size_t count, auto& a, auto&) {
    a = hn::Add(a, LoadUpTo(d, x + i, count));
  });
  return sums.first / static_cast<T>(n);
}

// Mean of (x - mean)^2: a second pass, since the difference of mean squares loses digits.
template <class T>
T Variance(const T* x, T mean, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto m = hn::Set(d, mean);
  const auto sums = SumBoth<T>(n, [&](std::int64_t i, std::size_t count, auto& a, auto&) {
    auto c = hn::Sub(LoadUpTo(d, x + i, count), m);
    if (count < hn::Lanes(d)) c = hn::IfThenElseZero(hn::FirstN(d, count), c);
    a = hn::MulAdd(c, c, a);
  });
  return sums.first / static_cast<T>(n);
}

template <class T>
void NormalizeRow(const T* x, const T* weight, const T* bias, T* y, T mean, T rstd,
                  std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto m = hn::Set(d, mean), r = hn::Set(d, rstd);
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    auto v = hn::Mul(hn::Sub(LoadUpTo(d, x + i, count), m), r);
    if (weight != nullptr) v = hn::Mul(v, LoadUpTo(d, weight + i, count));
    if (bias != nullptr) v = hn::Add(v, LoadUpTo(d, bias + i, count));
    StoreUpTo(v, d, y + i, count);
  });
}

template <class T>
void Forward(const LayerNormForward& c) {
  const auto n = c.shape.n;
  const T* x = static_cast<const T*>(c.x);
  T* y = static_cast<T*>(c.y);
  for (std::int64_t row = 0; row < c.shape.rows; ++row, x += n, y += n) {
    const T mean = c.shape.rms ? T{0} : Mean(x, n);
    const T rstd = T{1} / std::sqrt(Variance(x, mean, n) + static_cast<T>(c.shape.eps));
    if (!c.shape.rms) static_cast<T*>(c.mean)[row] = mean;
    static_cast<T*>(c.rstd)[row] = rstd;
    NormalizeRow(x, static_cast<const T*>(c.weight), static_cast<const T*>(c.bias), y, mean, rstd,
                 n);
  }
}

// dx of a row, and its shares of dweight and dbias (null: not wanted).
template <class T>
void GradientRow(const T* x, const T* g, const T* weight, T mean, T rstd, bool rms, T* dx,
                 T* dweight, T* dbias, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto m = hn::Set(d, mean), r = hn::Set(d, rstd);
  const auto normal = [&](std::int64_t i, std::size_t count) {
    return hn::Mul(hn::Sub(LoadUpTo(d, x + i, count), m), r);
  };
  const auto weighted = [&](std::int64_t i, std::size_t count) {
    const auto v = LoadUpTo(d, g + i, count);
    return weight == nullptr ? v : hn::Mul(v, LoadUpTo(d, weight + i, count));
  };
  // Behind the end g is 0 and with it h.
  const auto sums = SumBoth<T>(n, [&](std::int64_t i, std::size_t count, auto& a, auto& b) {
    const auto h = weighted(i, count);
    a = hn::Add(a, h);
    b = hn::MulAdd(h, normal(i, count), b);
  });
  const auto mean_h = hn::Set(d, rms ? T{0} : sums.first / static_cast<T>(n));
  const auto mean_hx = hn::Set(d, sums.second / static_cast<T>(n));
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    const auto xh = normal(i, count);
    const auto h = hn::Sub(weighted(i, count), mean_h);
    StoreUpTo(hn::Mul(r, hn::NegMulAdd(xh, mean_hx, h)), d, dx + i, count);
    const auto v = LoadUpTo(d, g + i, count);
    if (dweight != nullptr) {
      StoreUpTo(hn::MulAdd(v, xh, LoadUpTo(d, dweight + i, count)), d, dweight + i, count);
    }
    if (dbias != nullptr) {
      StoreUpTo(hn::Add(v, LoadUpTo(d, dbias + i, count)), d, dbias + i, count);
    }
  });
}

constexpr std::int64_t kRowBlock = 32;  // rows summed one after the other, then blocks of them

template <class T>
void AddBlock(T* block, T* total, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) total[i] += block[i];
  std::fill_n(block, n, T{0});
}

template <class T>
void Backward(const LayerNormBackward& c, void* scratch) {
  const auto n = c.shape.n, rows = c.shape.rows;
  T* dweight = c.dweight == nullptr ? nullptr : static_cast<T*>(scratch);
  T* dbias = c.dbias == nullptr ? nullptr : static_cast<T*>(scratch) + n;
  std::fill_n(static_cast<T*>(scratch), 2 * n, T{0});
  if (dweight != nullptr) std::fill_n(static_cast<T*>(c.dweight), n, T{0});
  if (dbias != nullptr) std::fill_n(static_cast<T*>(c.dbias), n, T{0});
  for (std::int64_t row = 0; row < rows; ++row) {
    const T mean = c.shape.rms ? T{0} : static_cast<const T*>(c.mean)[row];
    GradientRow(static_cast<const T*>(c.x) + row * n, static_cast<const T*>(c.g) + row * n,
                static_cast<const T*>(c.weight), mean, static_cast<const T*>(c.rstd)[row],
                c.shape.rms, static_cast<T*>(c.dx) + row * n, dweight, dbias, n);
    if ((row + 1) % kRowBlock != 0 && row + 1 < rows) continue;
    if (dweight != nullptr) AddBlock(dweight, static_cast<T*>(c.dweight), n);
    if (dbias != nullptr) AddBlock(dbias, static_cast<T*>(c.dbias), n);
  }
}

void LayerNormFor(const LayerNormForward& c) {
  c.shape.dtype == DType::float64 ? Forward<double>(c) : Forward<float>(c);
}
void LayerNormGradientFor(const LayerNormBackward& c, void* scratch) {
  c.shape.dtype == DType::float64 ? Backward<double>(c, scratch) : Backward<float>(c, scratch);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(LayerNormFor);
HWY_EXPORT(LayerNormGradientFor);

void layer_norm(const LayerNormForward& call) { HWY_DYNAMIC_DISPATCH(LayerNormFor)(call); }
std::size_t layer_norm_gradient_scratch_bytes(const LayerNormShape& shape) {
  return static_cast<std::size_t>(2 * shape.n) * size_of(shape.dtype);
}
void layer_norm_gradient(const LayerNormBackward& call, void* scratch) {
  HWY_DYNAMIC_DISPATCH(LayerNormGradientFor)(call, scratch);
}

}  // namespace descent::kernels
#endif
