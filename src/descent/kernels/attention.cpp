#include "descent/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_math-inl.h"
#include "descent/kernels/gemm_block-inl.h"
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

constexpr std::int64_t kQueries = 24;  // of a block: four times the rows of a block of a product
constexpr std::int64_t kKeys = 256;
// Rows of scores: not a power of two apart, so that they do not meet in the same lines of a cache.
constexpr std::int64_t kScoreRow = kKeys + 16;

// Rows of the transposed keys, likewise.
inline std::int64_t TransposedRow(std::int64_t keys) { return (keys + 31) / 32 * 32 + 16; }

// Parts of the scratch, each beginning at a multiple of 64 bytes; without memory it only counts.
template <class T>
class Parts {
 public:
  explicit Parts(T* memory) : memory_(memory) {}
  T* take(std::int64_t elements) {
    const auto begin = used_;
    used_ += (elements + 15) / 16 * 16;
    return memory_ == nullptr ? nullptr : memory_ + begin;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(used_) * sizeof(T); }

 private:
  T* memory_;
  std::int64_t used_ = 0;
};

template <class T>
struct ForwardScratch {
  ForwardScratch(const AttentionShape& s, T* memory) : parts(memory) {
    k = parts.take(s.keys * s.dim);
    kt = parts.take(TransposedRow(s.keys) * s.dim);
    v = parts.take(s.keys * s.dim);
    bias = parts.take(s.keys);
    q = parts.take(kQueries * s.dim);
    o = parts.take(kQueries * s.dim);
    p = parts.take(kQueries * kScoreRow);
    most = parts.take(kQueries);
    sum = parts.take(kQueries);
  }
  Parts<T> parts;
  T *k, *kt, *v, *bias, *q, *o, *p, *most, *sum;
};
template <class T>
struct BackwardScratch {
  BackwardScratch(const AttentionShape& s, T* memory) : parts(memory) {
    k = parts.take(s.keys * s.dim);
    kt = parts.take(TransposedRow(s.keys) * s.dim);
    vt = parts.take(TransposedRow(s.keys) * s.dim);
    dk = parts.take(s.keys * s.dim);
    dv = parts.take(s.keys * s.dim);
    bias = parts.take(s.keys);
    q = parts.take(kQueries * s.dim);
    g = parts.take(kQueries * s.dim);
    o = parts.take(kQueries * s.dim);
    dq = parts.take(kQueries * s.dim);
    p = parts.take(kQueries * kScoreRow);
    dp = parts.take(kQueries * kScoreRow);
  }
  Parts<T> parts;
  T *k, *kt, *vt, *dk, *dv, *bias, *q, *g, *o, *dq, *p, *dp;
};

// ---- loops over rows ----

// y (dense rows of dim) = factor x.
template <class E, class T>
void Pack(const E* x, std::int64_t step, T* y, std::int64_t rows, std::int64_t dim, T factor) {
  for (std::int64_t i = 0; i < rows; ++i, x += step, y += dim) {
    for (std::int64_t j = 0; j < dim; ++j) y[j] = factor * static_cast<T>(x[j]);
  }
}
// The reverse.
template <class T>
void Unpack(const T* x, T* y, std::int64_t step, std::int64_t rows, std::int64_t dim, T factor) {
  for (std::int64_t i = 0; i < rows; ++i, x += dim, y += step) {
    for (std::int64_t j = 0; j < dim; ++j) y[j] = factor * x[j];
  }
}

template <class T>
T Dot(const T* a, const T* b, std::int64_t n) {
  const hn::ScalableTag<T> d;
  auto sum = hn::Zero(d);
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    sum = hn::MulAdd(LoadUpTo(d, a + i, count), LoadUpTo(d, b + i, count), sum);
  });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

// Adds the bias (where there is one) to n scores and gives their largest.
template <class T>
T LargestScore(T* s, const T* bias, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto low = hn::Set(d, -kInfinity<T>);
  auto most = low;
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    auto x = LoadUpTo(d, s + i, count);
    if (bias != nullptr) {
      x = hn::Add(x, LoadUpTo(d, bias + i, count));
      StoreUpTo(x, d, s + i, count);
    }
    if (count < hn::Lanes(d)) x = hn::IfThenElse(hn::FirstN(d, count), x, low);
    most = MaxOrSecond(most, x);
  });
  return hn::GetLane(hn::MaxOfLanes(d, most));
}

// s = exp(s - shift) for n scores; gives the sum.
template <class T>
T ExpScores(T* s, T shift, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto by = hn::Set(d, shift);
  auto sum = hn::Zero(d);
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    auto e = ExpOf(d, hn::Sub(LoadUpTo(d, s + i, count), by));
    StoreUpTo(e, d, s + i, count);
    if (count < hn::Lanes(d)) e = hn::IfThenElseZero(hn::FirstN(d, count), e);
    sum = hn::Add(sum, e);
  });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// p = exp(p + bias - lse), dp = p (dp - delta).
template <class T>
void ScoreGradients(T* p, T* dp, const T* bias, T lse, T delta, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto by = hn::Set(d, lse), shift = hn::Set(d, delta);
  ForEachVector<T>(n, [&](std::int64_t i, std::size_t count) {
    auto x = LoadUpTo(d, p + i, count);
    if (bias != nullptr) x = hn::Add(x, LoadUpTo(d, bias + i, count));
    const auto e = ExpOf(d, hn::Sub(x, by));
    StoreUpTo(e, d, p + i, count);
    StoreUpTo(hn::Mul(e, hn::Sub(LoadUpTo(d, dp + i, count), shift)), d, dp + i, count);
  });
}

// ---- blocks ----

template <class E, class Data>
const E* At(const AttentionTensor<Data>& x, std::int64_t n, std::int64_t h, std::int64_t t) {
  return reinterpret_cast<const E*>(x.data) + n * x.row + h * x.head + t * x.time;
}
template <class T>
T* To(const AttentionOutput& x, std::int64_t n, std::int64_t h, std::int64_t t) {
  return reinterpret_cast<T*>(x.data) + n * x.row + h * x.head + t * x.time;
}

// 0 or -inf for each key of row n; null where there is no mask. Keys behind the last that is seen
// are left out of `keys`.
template <class T>
const T* BiasOf(const bool* mask, std::int64_t n, T* bias, std::int64_t all, std::int64_t* keys) {
  *keys = all;
  if (mask == nullptr) return nullptr;
  mask += n * all;
  while (*keys > 0 && !mask[*keys - 1]) --*keys;
  for (std::int64_t j = 0; j < *keys; ++j) bias[j] = mask[j] ? T{0} : -kInfinity<T>;
  return bias;
}

// How many keys query i sees, and the block of m queries from i on.
struct Sight {
  Sight(const AttentionShape& s, std::int64_t keys)
      : keys_(keys), shift_(s.causal ? s.keys - s.queries : s.keys) {}
  std::int64_t of(std::int64_t i) const {
    return std::clamp<std::int64_t>(i + shift_ + 1, 0, keys_);
  }

 private:
  std::int64_t keys_, shift_;
};

// One block of queries against keys [j, j + w), whose products are in f.p: a step of the running
// softmax, then its share of the output.
template <class T>
void ForwardStep(const ForwardScratch<T>& f, const AttentionShape& s, const Sight& sight,
                 const T* bias, std::int64_t i, std::int64_t m, std::int64_t j, std::int64_t w) {
  for (std::int64_t r = 0; r < m; ++r) {
    T* row = f.p + r * kScoreRow;
    const std::int64_t seen = std::clamp<std::int64_t>(sight.of(i + r) - j, 0, w);
    std::fill(row + seen, row + w, T{0});
    if (seen == 0) continue;
    const T most =
        std::max(f.most[r], LargestScore(row, bias == nullptr ? nullptr : bias + j, seen));
    const T shift = most == -kInfinity<T> ? T{0} : most;
    const T sum = ExpScores(row, shift, seen);
    const T kept = j == 0 ? T{0} : std::exp(f.most[r] - shift);
    f.sum[r] = f.sum[r] * kept + sum;
    f.most[r] = most;
    if (j > 0) {
      T* o = f.o + r * s.dim;
      for (std::int64_t l = 0; l < s.dim; ++l) o[l] *= kept;
    }
  }
  Product<true>(View<T>{f.p, kScoreRow, 1}, f.v + j * s.dim, s.dim, f.o, s.dim, m, w, s.dim);
}

template <class E, class T>
void ForwardHead(const AttentionForward& c, const ForwardScratch<T>& f, const T* bias,
                 std::int64_t keys, std::int64_t n, std::int64_t h) {
  const auto& s = c.shape;
  const Sight sight(s, keys);
  const std::int64_t row = TransposedRow(s.keys);
  Pack(At<E>(c.k, n, h, 0), c.k.time, f.k, keys, s.dim, T{1});
  Transpose(f.k, s.dim, f.kt, row, keys, s.dim);
  Pack(At<E>(c.v, n, h, 0), c.v.time, f.v, keys, s.dim, T{1});
  for (std::int64_t i = 0; i < s.queries; i += kQueries) {
    const std::int64_t m = std::min(kQueries, s.queries - i);
    const std::int64_t limit = sight.of(i + m - 1);
    Pack(At<E>(c.q, n, h, i), c.q.time, f.q, m, s.dim, static_cast<T>(s.scale));
    std::fill_n(f.o, m * s.dim, T{0});
    std::fill_n(f.most, m, -kInfinity<T>);
    std::fill_n(f.sum, m, T{0});
    for (std::int64_t j = 0; j < limit; j += kKeys) {
      const std::int64_t w = std::min(kKeys, limit - j);
      Product<false>(View<T>{f.q, s.dim, 1}, f.kt + j, row, f.p, kScoreRow, m, s.dim, w);
      ForwardStep(f, s, sight, bias, i, m, j, w);
    }
    T* lse = static_cast<T*>(c.lse) + (n * s.heads + h) * s.queries + i;
    for (std::int64_t r = 0; r < m; ++r) {
      const bool none = f.sum[r] == 0;
      Unpack(f.o + r * s.dim, To<T>(c.out, n, h, i + r), 0, 1, s.dim,
             none ? T{0} : T{1} / f.sum[r]);
      lse[r] = none ? std::numeric_limits<T>::max() : f.most[r] + std::log(f.sum[r]);
    }
  }
}

template <class E, class T>
void Forward(const AttentionForward& c, void* scratch) {
  const ForwardScratch<T> f(c.shape, static_cast<T*>(scratch));
  for (std::int64_t n = 0; n < c.shape.rows; ++n) {
    std::int64_t keys;
    const T* bias = BiasOf(c.mask, n, f.bias, c.shape.keys, &keys);
    for (std::int64_t h = 0; h < c.shape.heads; ++h) ForwardHead<E>(c, f, bias, keys, n, h);
  }
}

// Queries [i, i + m) against keys [j, j + w): both gradients of the scores from the recomputed
// products in b.p and b.dp, then their shares of dq, dk and dv.
template <class T>
void BackwardStep(const BackwardScratch<T>& b, const AttentionShape& s, const Sight& sight,
                  const T* bias, const T* lse, const T* delta, std::int64_t i, std::int64_t m,
                  std::int64_t j, std::int64_t w) {
  for (std::int64_t r = 0; r < m; ++r) {
    T *p = b.p + r * kScoreRow, *dp = b.dp + r * kScoreRow;
    const std::int64_t seen = std::clamp<std::int64_t>(sight.of(i + r) - j, 0, w);
    std::fill(p + seen, p + w, T{0});
    std::fill(dp + seen, dp + w, T{0});
    ScoreGradients(p, dp, bias == nullptr ? nullptr : bias + j, lse[r], delta[r], seen);
  }
  const View<T> p{b.p, 1, kScoreRow}, dp{b.dp, 1, kScoreRow};  // transposed
  Product<true>(p, b.g, s.dim, b.dv + j * s.dim, s.dim, w, m, s.dim);
  Product<true>(dp, b.q, s.dim, b.dk + j * s.dim, s.dim, w, m, s.dim);
  Product<true>(View<T>{b.dp, kScoreRow, 1}, b.k + j * s.dim, s.dim, b.dq, s.dim, m, w, s.dim);
}

template <class E, class T>
void BackwardHead(const AttentionBackward& c, const BackwardScratch<T>& b, const T* bias,
                  std::int64_t keys, std::int64_t n, std::int64_t h) {
  const auto& s = c.shape;
  const Sight sight(s, keys);
  const std::int64_t row = TransposedRow(s.keys);
  Pack(At<E>(c.v, n, h, 0), c.v.time, b.dv, keys, s.dim, T{1});  // a place for a moment
  Transpose(b.dv, s.dim, b.vt, row, keys, s.dim);
  Pack(At<E>(c.k, n, h, 0), c.k.time, b.k, keys, s.dim, T{1});
  Transpose(b.k, s.dim, b.kt, row, keys, s.dim);
  std::fill_n(b.dk, s.keys * s.dim, T{0});
  std::fill_n(b.dv, s.keys * s.dim, T{0});
  const auto* lse = static_cast<const T*>(c.lse) + (n * s.heads + h) * s.queries;
  T delta[kQueries];
  for (std::int64_t i = 0; i < s.queries; i += kQueries) {
    const std::int64_t m = std::min(kQueries, s.queries - i);
    const std::int64_t limit = sight.of(i + m - 1);
    Pack(At<E>(c.q, n, h, i), c.q.time, b.q, m, s.dim, static_cast<T>(s.scale));
    Pack(At<T>(c.g, n, h, i), c.g.time, b.g, m, s.dim, T{1});
    for (std::int64_t r = 0; r < m; ++r) {
      delta[r] = Dot(b.g + r * s.dim, At<T>(c.out, n, h, i + r), s.dim);
    }
    std::fill_n(b.dq, m * s.dim, T{0});
    for (std::int64_t j = 0; j < limit; j += kKeys) {
      const std::int64_t w = std::min(kKeys, limit - j);
      Product<false>(View<T>{b.q, s.dim, 1}, b.kt + j, row, b.p, kScoreRow, m, s.dim, w);
      Product<false>(View<T>{b.g, s.dim, 1}, b.vt + j, row, b.dp, kScoreRow, m, s.dim, w);
      BackwardStep(b, s, sight, bias, lse + i, delta, i, m, j, w);
    }
    Unpack(b.dq, To<T>(c.dq, n, h, i), c.dq.time, m, s.dim, static_cast<T>(s.scale));
  }
  Unpack(b.dk, To<T>(c.dk, n, h, 0), c.dk.time, s.keys, s.dim, T{1});
  Unpack(b.dv, To<T>(c.dv, n, h, 0), c.dv.time, s.keys, s.dim, T{1});
}

template <class E, class T>
void Backward(const AttentionBackward& c, void* scratch) {
  const BackwardScratch<T> b(c.shape, static_cast<T*>(scratch));
  for (std::int64_t n = 0; n < c.shape.rows; ++n) {
    std::int64_t keys;
    const T* bias = BiasOf(c.mask, n, b.bias, c.shape.keys, &keys);
    for (std::int64_t h = 0; h < c.shape.heads; ++h) BackwardHead<E>(c, b, bias, keys, n, h);
  }
}

void AttentionFor(const AttentionForward& c, void* scratch) {
  if (c.shape.in == DType::float64) return Forward<double, double>(c, scratch);
  if (c.shape.in == DType::bfloat16) return Forward<bfloat16, float>(c, scratch);
  Forward<float, float>(c, scratch);
}
void AttentionGradientFor(const AttentionBackward& c, void* scratch) {
  if (c.shape.in == DType::float64) return Backward<double, double>(c, scratch);
  if (c.shape.in == DType::bfloat16) return Backward<bfloat16, float>(c, scratch);
  Backward<float, float>(c, scratch);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(AttentionFor);
HWY_EXPORT(AttentionGradientFor);

namespace {
// The bytes that a scratch over no memory takes.
template <template <class> class Of>
std::size_t bytes(const AttentionShape& shape) {
  if (shape.in == DType::float64) return Of<double>(shape, nullptr).parts.bytes();
  return Of<float>(shape, nullptr).parts.bytes();
}
}  // namespace

std::size_t attention_scratch_bytes(const AttentionShape& shape) {
  return bytes<HWY_NAMESPACE::ForwardScratch>(shape);
}
std::size_t attention_gradient_scratch_bytes(const AttentionShape& shape) {
  return bytes<HWY_NAMESPACE::BackwardScratch>(shape);
}
void attention(const AttentionForward& call, void* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionFor)(call, scratch);
}
void attention_gradient(const AttentionBackward& call, void* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionGradientFor)(call, scratch);
}

}  // namespace descent::kernels
#endif
