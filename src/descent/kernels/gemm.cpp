#include "descent/kernels/gemm.h"

#include <algorithm>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/gemm.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/gemm_block-inl.h"
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

template <class T>
View<T> ViewOfA(const GemmShape& s, const T* a) {
  return s.transpose_a ? View<T>{a, 1, s.m} : View<T>{a, s.k, 1};
}

// b is stored [k, n], or [n, k]: then it is copied the other way round first.
template <class T>
void SmallRows(const GemmShape& s, const T* a, const T* b, T* c, T* scratch) {
  if (s.transpose_b) {
    Transpose(b, s.k, scratch, s.n, s.n, s.k);
    b = scratch;
  }
  Product<false>(ViewOfA(s, a), b, s.n, c, s.n, s.m, s.k, s.n);
}

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

// Few columns and a stored [k, m]: vectors of rows of c, each element still summed in order of k.
template <int Columns, class T>
HWY_INLINE void NarrowRows(const GemmShape& s, const T* a, const T* b, T* c, std::int64_t rows) {
  const hn::ScalableTag<T> d;
  const auto count = static_cast<std::size_t>(rows);
  hn::Vec<decltype(d)> sum[Columns];
#pragma GCC unroll 8
  for (int j = 0; j < Columns; ++j) sum[j] = hn::Zero(d);
  for (std::int64_t l = 0; l < s.k; ++l) {
    const auto column = LoadSome(d, a + l * s.m, count);
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j)
      sum[j] = hn::MulAdd(column, hn::Set(d, b[l * Columns + j]), sum[j]);
  }
  HWY_ALIGN T lanes[Columns][hn::MaxLanes(d)];
#pragma GCC unroll 8
  for (int j = 0; j < Columns; ++j) hn::Store(sum[j], d, lanes[j]);
  for (std::size_t i = 0; i < count; ++i) {
    for (int j = 0; j < Columns; ++j) c[i * Columns + static_cast<std::size_t>(j)] = lanes[j][i];
  }
}
template <int Columns, class T>
void Narrow(const GemmShape& s, const T* a, const T* b, T* c, T*) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (std::int64_t i = 0; i < s.m; i += lanes)
    NarrowRows<Columns>(s, a + i, b, c + i * Columns, std::min(lanes, s.m - i));
}

constexpr std::int64_t kDepth = 256;     // rows of a panel of b: 32 KiB of float64, for L1
constexpr std::int64_t kRowBlock = 192;  // rows of a gone through for each panel: 384 KiB, for L2

// Copies depth x cols of b from row l, column j on, dense rows of `width`.
template <class T>
void CopyPanel(const GemmShape& s, const T* b, std::int64_t l, std::int64_t j, std::int64_t depth,
               std::int64_t cols, std::int64_t width, T* panel) {
  if (s.transpose_b) return Transpose(b + l + j * s.k, s.k, panel, width, cols, depth);
  for (std::int64_t q = 0; q < depth; ++q) {
    std::copy_n(b + (l + q) * s.n + j, cols, panel + q * width);
  }
}

template <class T>
void Panels(const GemmShape& s, const T* a, const T* b, T* c, T* panel) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const std::int64_t width = kVectors * lanes;
  for (std::int64_t l = 0; l < s.k; l += kDepth) {
    const std::int64_t depth = std::min(kDepth, s.k - l);
    for (std::int64_t i = 0; i < s.m; i += kRowBlock) {
      View<T> view = ViewOfA(s, a);
      view.data += l * view.column + i * view.row;
      for (std::int64_t j = 0; j < s.n; j += width) {
        const std::int64_t cols = std::min(width, s.n - j);
        CopyPanel(s, b, l, j, depth, cols, width, panel);
        const bool two = cols > lanes;
        const auto last = static_cast<std::size_t>(two ? cols - lanes : cols);
        const auto run = l == 0 ? (two ? &Column<Into::set, kVectors, T> : &Column<Into::set, 1, T>)
                                : (two ? &Column<Into::more, kVectors, T> : &Column<Into::more, 1, T>);
        run(view, panel, width, c + i * s.n + j, s.n, std::min(kRowBlock, s.m - i), depth, last);
      }
    }
  }
}

const GemmFunctions* Functions() {
  static constexpr GemmFunctions functions = {
      &SmallRows<float>,
      &SmallDots<float>,
      &Panels<float>,
      &SmallRows<double>,
      &SmallDots<double>,
      &Panels<double>,
      {&Narrow<1, float>, &Narrow<2, float>, &Narrow<3, float>, &Narrow<4, float>},
      {&Narrow<1, double>, &Narrow<2, double>, &Narrow<3, double>, &Narrow<4, double>}};
  return &functions;
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Functions);
template <class T>
void Nothing(const GemmShape& s, const T*, const T*, T* c, T*) {
  std::fill_n(c, s.m * s.n, T{});
}
}  // namespace

template <class T>
Gemm<T> small_gemm(const GemmShape& s) {
  static const auto* const f = HWY_DYNAMIC_DISPATCH(Functions)();
  if (s.k == 0) return {&Nothing<T>, 0};
  constexpr bool single = sizeof(T) == 4;
  if (s.transpose_a && !s.transpose_b && s.n <= kNarrow && s.m > s.n) {
    const auto at = static_cast<std::size_t>(s.n - 1);
    if constexpr (single) {
      return {f->narrow32[at], 0};
    } else {
      return {f->narrow64[at], 0};
    }
  }
  // Scalar products of rows cost 1.8 ns each beside the work, turning b round 0.1 ns an element,
  // and a vector of rows that holds a few columns is mostly empty.
  const bool few = s.n <= kNarrow && 8 * s.n <= s.k && !s.transpose_a;
  const bool dots = (s.transpose_b || s.n == 1) && (few || 18 * s.m < s.k);
  const std::int64_t scratch = dots            ? (s.transpose_a ? s.m * s.k : 0)
                               : s.transpose_b ? s.k * s.n
                                               : 0;
  if constexpr (single)
    return {dots ? f->dots32 : f->rows32, scratch};
  else
    return {dots ? f->dots64 : f->rows64, scratch};
}
template <class T>
Gemm<T> panel_gemm(const GemmShape& s) {
  static const auto* const f = HWY_DYNAMIC_DISPATCH(Functions)();
  if (s.k == 0) return {&Nothing<T>, 0};
  // A panel's width on the widest target: two vectors of at most 64 bytes.
  const std::int64_t scratch =
      HWY_NAMESPACE::kDepth * 2 * 64 / static_cast<std::int64_t>(sizeof(T));
  if constexpr (sizeof(T) == 4)
    return {f->panels32, scratch};
  else
    return {f->panels64, scratch};
}
template Gemm<float> small_gemm(const GemmShape&);
template Gemm<double> small_gemm(const GemmShape&);
template Gemm<float> panel_gemm(const GemmShape&);
template Gemm<double> panel_gemm(const GemmShape&);
}  // namespace descent::kernels
#endif
