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
#include "descent/kernels/random-inl.h"
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// Scores of a block are kept with a key in each row and queries side by side, so that maxima, sums
// and exponentials work on all queries of a vector at once.
constexpr std::int64_t kQueries = 32;  // a multiple of every target's lanes
constexpr std::int64_t kKeys = 128;    // 16 KiB of float32 scores, for L1

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
    v = parts.take(s.keys * s.dim);
    bias = parts.take(s.keys);
    q = parts.take(kQueries * s.dim);
    qt = parts.take(kQueries * s.dim);
    o = parts.take(kQueries * s.dim);
    p = parts.take(kQueries * kKeys);
    most = parts.take(kQueries);
    sum = parts.take(kQueries);
    kept = parts.take(kQueries);
  }
  Parts<T> parts;
  T *k, *v, *bias, *q, *qt, *o, *p, *most, *sum, *kept;
};
template <class T>
struct BackwardScratch {
  BackwardScratch(const AttentionShape& s, T* memory) : parts(memory) {
    for (auto** matrix : {&k, &v, &dk, &dv}) *matrix = parts.take(s.keys * s.dim);
    bias = parts.take(s.keys);
    for (auto** block : {&q, &qt, &g, &gt, &dq}) *block = parts.take(kQueries * s.dim);
    p = parts.take(kQueries * kKeys);
    dp = parts.take(kQueries * kKeys);
    lse = parts.take(kQueries);
    delta = parts.take(kQueries);
    if (s.dropout > 0) factors = parts.take(kQueries * kKeys);
  }
  Parts<T> parts;
  T *k, *v, *dk, *dv, *bias, *q, *qt, *g, *gt, *dq, *p, *dp, *lse, *delta, *factors = nullptr;
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

// A block of m queries, packed times `factor`, and turned round with columns of zeros up to
// kQueries.
template <class E, class T>
void PackQueries(const E* x, std::int64_t step, T* y, T* turned, std::int64_t m, std::int64_t dim,
                 T factor) {
  Pack(x, step, y, m, dim, factor);
  if (m < kQueries) std::fill_n(turned, kQueries * dim, T{0});
  Transpose(y, dim, turned, kQueries, m, dim);
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

// What hides keys from queries.
template <class T>
struct Sight {
  // How many keys query i sees, but for the bias.
  std::int64_t of(std::int64_t i) const { return std::clamp<std::int64_t>(i + shift + 1, 0, keys); }
  std::int64_t keys, shift;
  const T* bias;  // added to the scores of each key; or null
};
template <class T>
Sight<T> SightOf(const AttentionShape& s, std::int64_t keys, const T* bias) {
  return {keys, s.causal ? s.keys - s.queries : s.keys, bias};
}

// A block: queries from i on, padded to whole vectors, and keys [j, j + w).
struct BlockPlace {
  std::int64_t i, padded, j, w;
};

// f(row, masked) for the keys of a block and the vector of queries in column c: masked(x) is x
// where a query sees the key, else `hidden`.
template <class T, class F>
HWY_INLINE void ForEachKey(const Sight<T>& sight, const BlockPlace& at, std::int64_t c, T hidden,
                           const F& f) {
  const hn::ScalableTag<T> d;
  const auto none = hn::Set(d, hidden);
  // The first query of the vector sees the fewest keys, one less than the next.
  const std::int64_t all = std::clamp<std::int64_t>(at.i + c + sight.shift + 1 - at.j, 0, at.w);
  const auto same = [](auto x) { return x; };
  for (std::int64_t r = 0; r < all; ++r) f(r, same);
  const auto lane = hn::Iota(d, static_cast<T>(0));
  for (std::int64_t r = all; r < at.w; ++r) {
    const auto seen = hn::Ge(lane, hn::Set(d, static_cast<T>(at.j + r - at.i - c - sight.shift)));
    f(r, [&](auto x) { return hn::IfThenElse(seen, x, none); });
  }
}

// f(row, factors) for the keys of a block of head h in row n: an element of M for each query.
template <class T, class F>
HWY_INLINE void ForEachFactor(const AttentionShape& s, const AttentionNoise& noise, std::int64_t n,
                              std::int64_t h, const BlockPlace& at, const F& f) {
  constexpr std::int64_t per_block = sizeof(T) == 8 ? 2 : 4;
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto rate = hn::Set(d, static_cast<T>(s.dropout));
  const auto kept = hn::Set(d, static_cast<T>(1 / (1 - s.dropout)));
  const std::int64_t queries = noise_queries(s.queries);
  Pairs<kQueries / per_block> words;
  HWY_ALIGN T u[kQueries];
  for (std::int64_t r = 0; r < at.w; ++r) {
    const std::int64_t row = ((noise.first_row + n) * s.heads + h) * s.keys + at.j + r;
    Blocks(*noise.key, noise.stream, static_cast<std::uint64_t>((row * queries + at.i) / per_block),
           words);
    Elements(words, u);
    for (std::int64_t q = 0; q < kQueries; q += lanes) {
      const auto x = hn::Load(d, u + q);
      hn::Store(hn::IfThenElseZero(hn::Ge(x, rate), kept), d, u + q);
    }
    f(r, u);
  }
}

// x = factors x for the queries of a key.
template <class T>
HWY_INLINE void Scale(const T* factors, T* x) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t q = 0; q < kQueries; q += lanes) {
    hn::Store(hn::Mul(hn::Load(d, factors + q), hn::Load(d, x + q)), d, x + q);
  }
}

// A step of the running softmax for a vector of queries, whose scores stand in column c of f.p.
template <class T>
void SoftmaxStep(const ForwardScratch<T>& f, const Sight<T>& sight, const BlockPlace& at,
                 std::int64_t c) {
  const hn::ScalableTag<T> d;
  const auto low = hn::Set(d, -kInfinity<T>);
  const auto before = hn::Load(d, f.most + c);
  auto most = before;
  ForEachKey(sight, at, c, -kInfinity<T>, [&](std::int64_t r, const auto& masked) {
    T* p = f.p + r * kQueries + c;
    auto x = hn::Load(d, p);
    if (sight.bias != nullptr) x = hn::Add(x, hn::Set(d, sight.bias[at.j + r]));
    x = masked(x);
    hn::Store(x, d, p);
    most = MaxOrSecond(most, x);
  });
  const auto shift = hn::IfThenElse(hn::Eq(most, low), hn::Zero(d), most);
  auto sum = hn::Zero(d);
  for (std::int64_t r = 0; r < at.w; ++r) {
    T* p = f.p + r * kQueries + c;
    const auto e = ExpOf(d, hn::Sub(hn::Load(d, p), shift));
    hn::Store(e, d, p);
    sum = hn::Add(sum, e);
  }
  const auto kept = ExpOf(d, hn::Sub(before, shift));
  hn::Store(most, d, f.most + c);
  hn::Store(hn::MulAdd(hn::Load(d, f.sum + c), kept, sum), d, f.sum + c);
  hn::Store(kept, d, f.kept + c);
}

template <class E, class T>
void ForwardBlock(const AttentionForward& c, const ForwardScratch<T>& f, const Sight<T>& sight,
                  std::int64_t n, std::int64_t h, std::int64_t i) {
  const auto& s = c.shape;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const std::int64_t m = std::min(kQueries, s.queries - i), limit = sight.of(i + m - 1);
  PackQueries(At<E>(c.q, n, h, i), c.q.time, f.q, f.qt, m, s.dim, static_cast<T>(s.scale));
  std::fill_n(f.o, m * s.dim, T{0});
  std::fill_n(f.most, kQueries, -kInfinity<T>);
  std::fill_n(f.sum, kQueries, T{0});
  for (std::int64_t j = 0; j < limit; j += kKeys) {
    const BlockPlace at{i, (m + lanes - 1) / lanes * lanes, j, std::min(kKeys, limit - j)};
    Product<false>(View<T>{f.k + j * s.dim, s.dim, 1}, f.qt, kQueries, f.p, kQueries, at.w, s.dim,
                   at.padded);
    for (std::int64_t q = 0; q < at.padded; q += lanes) SoftmaxStep(f, sight, at, q);
    if (s.dropout > 0) {
      ForEachFactor<T>(s, c.noise, n, h, at, [&](std::int64_t r, const T* factors) HWY_ATTR {
        Scale(factors, f.p + r * kQueries);
      });
    }
    for (std::int64_t r = 0; r < m && j > 0; ++r) {
      T* o = f.o + r * s.dim;
      for (std::int64_t l = 0; l < s.dim; ++l) o[l] *= f.kept[r];
    }
    Product<true>(View<T>{f.p, 1, kQueries}, f.v + j * s.dim, s.dim, f.o, s.dim, m, at.w, s.dim);
  }
  T* lse = static_cast<T*>(c.lse) + (n * s.heads + h) * s.queries + i;
  for (std::int64_t r = 0; r < m; ++r) {
    const bool none = f.sum[r] == 0;
    Unpack(f.o + r * s.dim, To<T>(c.out, n, h, i + r), 0, 1, s.dim, none ? T{0} : T{1} / f.sum[r]);
    lse[r] = none ? std::numeric_limits<T>::max() : f.most[r] + std::log(f.sum[r]);
  }
}

template <class E, class T>
void Forward(const AttentionForward& c, void* scratch) {
  const auto& s = c.shape;
  const ForwardScratch<T> f(s, static_cast<T*>(scratch));
  for (std::int64_t n = 0; n < s.rows; ++n) {
    std::int64_t keys;
    const T* bias = BiasOf(c.mask, n, f.bias, s.keys, &keys);
    const auto sight = SightOf(s, keys, bias);
    for (std::int64_t h = 0; h < s.heads; ++h) {
      Pack(At<E>(c.k, n, h, 0), c.k.time, f.k, keys, s.dim, T{1});
      Pack(At<E>(c.v, n, h, 0), c.v.time, f.v, keys, s.dim, T{1});
      for (std::int64_t i = 0; i < s.queries; i += kQueries) {
        ForwardBlock<E>(c, f, sight, n, h, i);
      }
    }
  }
}

// b.p from scores to probabilities and b.dp to the scores' gradients, for a vector of queries.
template <class T>
void ScoreGradients(const BackwardScratch<T>& b, const Sight<T>& sight, const BlockPlace& at,
                    std::int64_t c) {
  const hn::ScalableTag<T> d;
  const auto lse = hn::Load(d, b.lse + c), delta = hn::Load(d, b.delta + c);
  ForEachKey(sight, at, c, T{0}, [&](std::int64_t r, const auto& masked) {
    T *p = b.p + r * kQueries + c, *dp = b.dp + r * kQueries + c;
    auto x = hn::Load(d, p);
    if (sight.bias != nullptr) x = hn::Add(x, hn::Set(d, sight.bias[at.j + r]));
    const auto e = masked(ExpOf(d, hn::Sub(x, lse)));
    hn::Store(e, d, p);
    hn::Store(hn::Mul(e, hn::Sub(hn::Load(d, dp), delta)), d, dp);
  });
}

template <class E, class T>
void BackwardBlock(const AttentionBackward& c, const BackwardScratch<T>& b, const Sight<T>& sight,
                   std::int64_t n, std::int64_t h, std::int64_t i) {
  const auto& s = c.shape;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const std::int64_t m = std::min(kQueries, s.queries - i), limit = sight.of(i + m - 1);
  PackQueries(At<E>(c.q, n, h, i), c.q.time, b.q, b.qt, m, s.dim, static_cast<T>(s.scale));
  PackQueries(At<T>(c.g, n, h, i), c.g.time, b.g, b.gt, m, s.dim, T{1});
  const auto* lse = static_cast<const T*>(c.lse) + (n * s.heads + h) * s.queries + i;
  std::fill_n(b.lse, kQueries, T{0});
  std::fill_n(b.delta, kQueries, T{0});
  std::copy_n(lse, m, b.lse);
  for (std::int64_t r = 0; r < m; ++r) {
    b.delta[r] = Dot(b.g + r * s.dim, At<T>(c.out, n, h, i + r), s.dim);
  }
  std::fill_n(b.dq, m * s.dim, T{0});
  for (std::int64_t j = 0; j < limit; j += kKeys) {
    const BlockPlace at{i, (m + lanes - 1) / lanes * lanes, j, std::min(kKeys, limit - j)};
    const T* k = b.k + j * s.dim;
    Product<false>(View<T>{k, s.dim, 1}, b.qt, kQueries, b.p, kQueries, at.w, s.dim, at.padded);
    Product<false>(View<T>{b.v + j * s.dim, s.dim, 1}, b.gt, kQueries, b.dp, kQueries, at.w, s.dim,
                   at.padded);
    if (s.dropout > 0) {
      ForEachFactor<T>(s, c.noise, n, h, at, [&](std::int64_t r, const T* factors) HWY_ATTR {
        std::copy_n(factors, kQueries, b.factors + r * kQueries);
        Scale(factors, b.dp + r * kQueries);
      });
    }
    for (std::int64_t q = 0; q < at.padded; q += lanes) ScoreGradients(b, sight, at, q);
    for (std::int64_t r = 0; r < at.w && s.dropout > 0; ++r) {
      Scale(b.factors + r * kQueries, b.p + r * kQueries);
    }
    const View<T> p{b.p, kQueries, 1}, dp{b.dp, kQueries, 1};
    Product<true>(p, b.g, s.dim, b.dv + j * s.dim, s.dim, at.w, m, s.dim);
    Product<true>(dp, b.q, s.dim, b.dk + j * s.dim, s.dim, at.w, m, s.dim);
    Product<true>(View<T>{b.dp, 1, kQueries}, k, s.dim, b.dq, s.dim, m, at.w, s.dim);
  }
  Unpack(b.dq, To<T>(c.dq, n, h, i), c.dq.time, m, s.dim, static_cast<T>(s.scale));
}

template <class E, class T>
void Backward(const AttentionBackward& c, void* scratch) {
  const auto& s = c.shape;
  const BackwardScratch<T> b(s, static_cast<T*>(scratch));
  for (std::int64_t n = 0; n < s.rows; ++n) {
    std::int64_t keys;
    const T* bias = BiasOf(c.mask, n, b.bias, s.keys, &keys);
    const auto sight = SightOf(s, keys, bias);
    for (std::int64_t h = 0; h < s.heads; ++h) {
      Pack(At<E>(c.k, n, h, 0), c.k.time, b.k, keys, s.dim, T{1});
      Pack(At<E>(c.v, n, h, 0), c.v.time, b.v, keys, s.dim, T{1});
      std::fill_n(b.dk, s.keys * s.dim, T{0});
      std::fill_n(b.dv, s.keys * s.dim, T{0});
      for (std::int64_t i = 0; i < s.queries; i += kQueries) {
        BackwardBlock<E>(c, b, sight, n, h, i);
      }
      Unpack(b.dk, To<T>(c.dk, n, h, 0), c.dk.time, s.keys, s.dim, T{1});
      Unpack(b.dv, To<T>(c.dv, n, h, 0), c.dv.time, s.keys, s.dim, T{1});
    }
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

std::int64_t noise_queries(std::int64_t queries) { return (queries + 3) / 4 * 4; }

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
