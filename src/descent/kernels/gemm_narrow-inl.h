// Products with a vector, or with few columns: what blocks of c in registers are too wide for.
// Included once per target.
#include <algorithm>
#include <cstdint>

#include "descent/kernels/gemm.h"
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#if defined(DESCENT_GEMM_NARROW_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_GEMM_NARROW_INL_H
#undef DESCENT_GEMM_NARROW_INL_H
#else
#define DESCENT_GEMM_NARROW_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// Rows x Columns scalar products of rows of a and rows of b.
template <int Rows, int Columns, class T>
HWY_INLINE void Dots(const T* a, const T* b, T* c, std::int64_t k, std::int64_t c_row) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sum[Rows][Columns];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) sum[i][j] = hn::Zero(d);
  }
  for (std::int64_t l = 0; l < k; l += lanes) {
    const auto count = static_cast<std::size_t>(std::min(lanes, k - l));
    V y[Columns];
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) y[j] = LoadSome(d, b + j * k + l, count);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const V x = LoadSome(d, a + i * k + l, count);
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sum[i][j] = hn::MulAdd(x, y[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) c[i * c_row + j] = hn::GetLane(hn::SumOfLanes(d, sum[i][j]));
  }
}
template <int Rows, class T>
HWY_INLINE void DotRow(const T* a, const T* b, T* c, std::int64_t k, std::int64_t n) {
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4) Dots<Rows, 4>(a, b + j * k, c + j, k, n);
  for (; j < n; ++j) Dots<Rows, 1>(a, b + j * k, c + j, k, n);
}
template <class T>
void SmallDots(const GemmShape& s, const T* a, const T* b, T* c, T* scratch) {
  if (s.transpose_a) {
    Transpose(a, s.m, scratch, s.k, s.k, s.m);
    a = scratch;
  }
  std::int64_t i = 0;
  for (; i + 4 <= s.m; i += 4) DotRow<4>(a + i * s.k, b, c + i * s.n, s.k, s.n);
  for (; i < s.m; ++i) DotRow<1>(a + i * s.k, b, c + i * s.n, s.k, s.n);
}

// Lane i of the result is the sum of the lanes of x[i]: neighbours are added log2(lanes) times.
template <int Count, class D>
HWY_INLINE hn::Vec<D> SumsOfLanes([[maybe_unused]] D d, hn::Vec<D>* x) {
#if HWY_TARGET != HWY_SCALAR  // where vectors have one lane
#pragma GCC unroll 8
  for (int left = Count; left > 1; left /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < left / 2; ++i) {
      x[i] = hn::Add(hn::ConcatEven(d, x[2 * i + 1], x[2 * i]),
                     hn::ConcatOdd(d, x[2 * i + 1], x[2 * i]));
    }
  }
#endif
  return x[0];
}
// c[m, 1] = a[m, k] b[k, 1] with a stored in rows: as many rows at a time as a vector has lanes.
template <class T>
void TimesVector(const GemmShape& s, const T* a, const T* b, T* c, T*) {
  const hn::ScalableTag<T> d;
  constexpr int rows = static_cast<int>(hn::MaxLanes(d));
  const auto lanes = static_cast<std::int64_t>(rows);
  for (std::int64_t i = 0; i < s.m; i += lanes) {
    hn::Vec<decltype(d)> sum[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) sum[r] = hn::Zero(d);
    for (std::int64_t l = 0; l < s.k; l += lanes) {
      const SomeLanes<false, decltype(d)> some(d,
                                               static_cast<std::size_t>(std::min(lanes, s.k - l)));
      const auto y = some.load(d, b + l);
      const T* row = a + i * s.k + l;
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        sum[r] = hn::MulAdd(some.load(d, row), y, sum[r]);
        // Behind the last row this one is read again.
        if (i + r + 1 < s.m) row += s.k;
      }
    }
    const auto y = SumsOfLanes<rows>(d, sum);
    StoreUpTo(y, d, c + i, static_cast<std::size_t>(std::min(lanes, s.m - i)));
  }
}

// c[1, n] = a[1, k] b[k, n] with b stored [n, k].
template <class T>
void VectorTimes(const GemmShape& s, const T* a, const T* b, T* c, T* scratch) {
  TimesVector<T>({.m = s.n, .k = s.k, .n = 1, .transpose_a = false, .transpose_b = false}, b, a, c,
                 scratch);
}

// Few columns and a stored [k, m]: vectors of rows of c. Each element is the sum of some sums over
// every so many-th term, which need not wait for each other.
template <int Columns, class T>
HWY_INLINE void NarrowRows(const GemmShape& s, const T* a, const T* b, T* c, std::int64_t rows) {
  const hn::ScalableTag<T> d;
  const auto count = static_cast<std::size_t>(rows);
  const SomeLanes<false, decltype(d)> some(d, count);
  constexpr int chains = Columns <= 2 ? 4 : 2;
  hn::Vec<decltype(d)> sum[chains][Columns];
#pragma GCC unroll 4
  for (int q = 0; q < chains; ++q) {
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) sum[q][j] = hn::Zero(d);
  }
  const auto add = [&](std::int64_t l, int q) {
    const auto column = some.load(d, a + l * s.m);
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j)
      sum[q][j] = hn::MulAdd(column, hn::Set(d, b[l * Columns + j]), sum[q][j]);
  };
  std::int64_t l = 0;
  for (; l + chains <= s.k; l += chains) {
#pragma GCC unroll 4
    for (int q = 0; q < chains; ++q) add(l + q, q);
  }
  for (; l < s.k; ++l) add(l, 0);
#pragma GCC unroll 4
  for (int j = 0; j < Columns; ++j) {
#pragma GCC unroll 4
    for (int q = 1; q < chains; ++q) sum[0][j] = hn::Add(sum[0][j], sum[q][j]);
  }
  if constexpr (Columns == 1) return some.store(sum[0][0], d, c);
  HWY_ALIGN T lanes[Columns][hn::MaxLanes(d)];
#pragma GCC unroll 4
  for (int j = 0; j < Columns; ++j) hn::Store(sum[0][j], d, lanes[j]);
  for (std::size_t i = 0; i < count; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) c[i * Columns + static_cast<std::size_t>(j)] = lanes[j][i];
  }
}
template <int Columns, class T>
void Narrow(const GemmShape& s, const T* a, const T* b, T* c, T*) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (std::int64_t i = 0; i < s.m; i += lanes)
    NarrowRows<Columns>(s, a + i, b, c + i * Columns, std::min(lanes, s.m - i));
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
