#include "descent/kernels/gemm.h"

#include <algorithm>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/gemm.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/gemm_block-inl.h"
#include "descent/kernels/gemm_narrow-inl.h"
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
      for (std::int64_t j = 0, cols; j < s.n; j += cols) {
        cols = NextColumns<T>(s.n - j);
        CopyPanel(s, b, l, j, depth, cols, width, panel);
        Columns<T>({view, panel, width, c + i * s.n + j, s.n, depth, 0, l > 0},
                   std::min(kRowBlock, s.m - i), cols);
      }
    }
  }
}

const GemmFunctions* Functions() {
  static constexpr GemmFunctions functions = {
      &SmallRows<float>,
      &SmallDots<float>,
      &TimesVector<float>,
      &VectorTimes<float>,
      &Panels<float>,
      &SmallRows<double>,
      &SmallDots<double>,
      &TimesVector<double>,
      &VectorTimes<double>,
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
  if (s.k == 0) return {&Nothing<T>, 0, false};
  constexpr bool single = sizeof(T) == 4;
  if (s.transpose_a && !s.transpose_b && s.n <= kNarrow && s.m > s.n) {
    const auto at = static_cast<std::size_t>(s.n - 1);
    if constexpr (single) {
      return {f->narrow32[at], 0, false};
    } else {
      return {f->narrow64[at], 0, false};
    }
  }
  // From here on a vector of a row is worth more than one of a column.
  const bool long_rows = s.k >= 8;
  if (long_rows && s.n == 1 && !s.transpose_a) {
    if constexpr (single)
      return {f->times_vector32, 0, false};
    else
      return {f->times_vector64, 0, false};
  }
  if (long_rows && s.m == 1 && s.transpose_b) {
    if constexpr (single)
      return {f->vector_times32, 0, false};
    else
      return {f->vector_times64, 0, false};
  }
  // Scalar products of rows cost 1.8 ns each beside the work, turning b round 0.1 ns an element,
  // and a vector of rows that holds a few columns is mostly empty.
  const bool few = s.n <= kNarrow && 8 * s.n <= s.k && !s.transpose_a;
  const bool dots = s.transpose_b && (few || 18 * s.m < s.k);
  const bool turns_b = s.transpose_b && !dots;
  const std::int64_t scratch = turns_b ? s.k * s.n : dots && s.transpose_a ? s.m * s.k : 0;
  if constexpr (single)
    return {dots ? f->dots32 : f->rows32, scratch, turns_b};
  else
    return {dots ? f->dots64 : f->rows64, scratch, turns_b};
}
template <class T>
Gemm<T> panel_gemm(const GemmShape& s) {
  static const auto* const f = HWY_DYNAMIC_DISPATCH(Functions)();
  if (s.k == 0) return {&Nothing<T>, 0, false};
  // A panel's width on the widest target: vectors of at most 64 bytes.
  const std::int64_t scratch =
      HWY_NAMESPACE::kDepth * HWY_NAMESPACE::kVectors * 64 / static_cast<std::int64_t>(sizeof(T));
  if constexpr (sizeof(T) == 4)
    return {f->panels32, scratch, false};
  else
    return {f->panels64, scratch, false};
}
template Gemm<float> small_gemm(const GemmShape&);
template Gemm<double> small_gemm(const GemmShape&);
template Gemm<float> panel_gemm(const GemmShape&);
template Gemm<double> panel_gemm(const GemmShape&);
}  // namespace descent::kernels
#endif
