#include <algorithm>
#include <cstdint>

#include "descent/kernels/convolution_batch.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/convolution_batch_loops.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag()));

// ---- turning ----

#if HWY_TARGET != HWY_SCALAR
constexpr int kSide = 4;

// Blocks of 4 elements, one below the other at `row`, side by side in a vector.
template <class D>
HWY_INLINE hn::Vec<D> Blocks(D d, const float* x, std::int64_t row) {
  if constexpr (hn::MaxLanes(D()) == kSide) {
    return hn::LoadU(d, x);
  } else {
    const hn::Half<D> half;
    constexpr std::int64_t rows = hn::MaxLanes(D()) / kSide / 2;
    return hn::Combine(d, Blocks(half, x + rows * row, row), Blocks(half, x, row));
  }
}

// y[j * y_row + i] = x[i * x_row + j] for i < kLanes, j < 4 Groups: blocks of 4x4 turned round in
// vectors of them. Every line of x is read in one go: at some distances of the rows the first cache
// cannot hold a line of each.
template <int Groups>
HWY_INLINE void Turn(const float* x, std::int64_t x_row, float* y, std::int64_t y_row) {
  const Tag d;
  Vector a[4][Groups];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < Groups; ++j) a[r][j] = Blocks(d, x + r * x_row + 4 * j, 4 * x_row);
  }
#pragma GCC unroll 4
  for (int j = 0; j < Groups; ++j) {
    const auto low02 = hn::InterleaveLower(d, a[0][j], a[2][j]),
               low13 = hn::InterleaveLower(d, a[1][j], a[3][j]),
               up02 = hn::InterleaveUpper(d, a[0][j], a[2][j]),
               up13 = hn::InterleaveUpper(d, a[1][j], a[3][j]);
    float* to = y + 4 * j * y_row;
    hn::StoreU(hn::InterleaveLower(d, low02, low13), d, to);
    hn::StoreU(hn::InterleaveUpper(d, low02, low13), d, to + y_row);
    hn::StoreU(hn::InterleaveLower(d, up02, up13), d, to + 2 * y_row);
    hn::StoreU(hn::InterleaveUpper(d, up02, up13), d, to + 3 * y_row);
  }
}
#else
constexpr int kSide = 1;
template <int>
HWY_INLINE void Turn(const float* x, std::int64_t, float* y, std::int64_t) {
  *y = *x;
}
#endif

// kLanes rows, at least kSide columns. The last block may take columns again.
HWY_INLINE void TurnRows(const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
                         std::int64_t columns) {
  std::int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes)
    Turn<kLanes / kSide>(x + j, x_row, y + j * y_row, y_row);
  while (j < columns) {
    j = std::min(j, columns - kSide);
    Turn<1>(x + j, x_row, y + j * y_row, y_row);
    j += kSide;
  }
}

void TurnIn(const float* x, std::int64_t image, std::int64_t images, std::int64_t columns, float* y,
            std::int64_t y_step) {
  if (images == kLanes && columns >= kSide) return TurnRows(x, image, y, y_step, columns);
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < images; ++i) y[j * y_step + i] = x[i * image + j];
    std::fill(y + j * y_step + images, y + j * y_step + kLanes, 0.0f);
  }
}

void TurnOut(const float* x, std::int64_t x_step, std::int64_t images, std::int64_t columns,
             float* y, std::int64_t image) {
  if (columns >= kLanes && images >= kSide) {
    for (std::int64_t j = 0; j < columns; j += kLanes) {
      j = std::min(j, columns - kLanes);
      TurnRows(x + j * x_step, x_step, y + j, image, images);
    }
    return;
  }
  for (std::int64_t i = 0; i < images; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) y[i * image + j] = x[j * x_step + i];
  }
}

void Clear(float* x, std::int64_t n, std::int64_t lanes) {
  const Tag d;
  const auto cleared = hn::FirstN(d, static_cast<std::size_t>(lanes));
  for (std::int64_t i = 0; i < n; ++i, x += kLanes)
    hn::Store(hn::IfThenZeroElse(cleared, hn::Load(d, x)), d, x);
}

// ---- products ----

// Sums in registers: enough of them to hide the latency of multiply-add, beside one factor of each
// and the other's vector.
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int kMostColumns = 8, kMostFilters = 6;
constexpr int kPlaces[] = {0, 8, 8, 8, 6, 4, 4, 3, 3}, kTaps[] = {0, 8, 8, 8, 6, 5, 4};
#else
constexpr int kMostColumns = 6, kMostFilters = 3;
constexpr int kPlaces[] = {0, 8, 4, 4, 3, 2, 2}, kTaps[] = {0, 8, 6, 4};
#endif

template <bool Add, int Columns>
void Sweep(const BatchSweep& s) {
  const Tag d;
  constexpr int Places = kPlaces[Columns];
  for (std::int64_t p = 0; p < s.places; p += Places) {
    const int count = static_cast<int>(std::min<std::int64_t>(Places, s.places - p));
    const float* x[Places];
    Vector sum[Places][Columns];
#pragma GCC unroll 8
    for (int v = 0; v < Places; ++v) {
      x[v] = s.x + s.x_places[p + std::min(v, count - 1)];
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) sum[v][j] = hn::Zero(d);
    }
    const float* w = s.w;
    for (std::int64_t l = 0; l < s.depth; ++l, w += Columns) {
      const std::int64_t step = s.x_steps[l];
      if constexpr (Columns >= Places) {
        Vector row[Places];
#pragma GCC unroll 8
        for (int v = 0; v < Places; ++v) row[v] = hn::Load(d, x[v] + step);
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) {
          const Vector factor = hn::Set(d, w[j]);
#pragma GCC unroll 8
          for (int v = 0; v < Places; ++v) sum[v][j] = hn::MulAdd(factor, row[v], sum[v][j]);
        }
      } else {
        Vector factor[Columns];
#pragma GCC unroll 8
        for (int j = 0; j < Columns; ++j) factor[j] = hn::Set(d, w[j]);
#pragma GCC unroll 8
        for (int v = 0; v < Places; ++v) {
          const Vector row = hn::Load(d, x[v] + step);
#pragma GCC unroll 8
          for (int j = 0; j < Columns; ++j) sum[v][j] = hn::MulAdd(factor[j], row, sum[v][j]);
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < Places; ++v) {
      if (v >= count) break;
      float* out = s.out + s.out_places[p + v];
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) {
        float* to = out + s.out_steps[j];
        hn::Store(Add ? hn::Add(hn::Load(d, to), sum[v][j]) : sum[v][j], d, to);
      }
    }
  }
}

template <int Filters>
void Sums(const BatchSums& s) {
  const Tag d;
  constexpr int Taps = kTaps[Filters];
  std::int64_t step[Taps];
  Vector sum[Filters][Taps];
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) {
    step[t] = s.x_steps[std::min<std::int64_t>(t, s.taps - 1)];
#pragma GCC unroll 8
    for (int f = 0; f < Filters; ++f) sum[f][t] = hn::Load(d, s.sums + (f * Taps + t) * kLanes);
  }
  const float* g = s.g;
  for (std::int64_t p = 0; p < s.places; ++p, g += s.g_step) {
    const float* x = s.x + s.x_places[p];
    if constexpr (Filters >= Taps) {
      Vector row[Taps];
#pragma GCC unroll 8
      for (int t = 0; t < Taps; ++t) row[t] = hn::Load(d, x + step[t]);
#pragma GCC unroll 8
      for (int f = 0; f < Filters; ++f) {
        const Vector factor = hn::Load(d, g + f * kLanes);
#pragma GCC unroll 8
        for (int t = 0; t < Taps; ++t) sum[f][t] = hn::MulAdd(factor, row[t], sum[f][t]);
      }
    } else {
      Vector factor[Filters];
#pragma GCC unroll 8
      for (int f = 0; f < Filters; ++f) factor[f] = hn::Load(d, g + f * kLanes);
#pragma GCC unroll 8
      for (int t = 0; t < Taps; ++t) {
        const Vector row = hn::Load(d, x + step[t]);
#pragma GCC unroll 8
        for (int f = 0; f < Filters; ++f) sum[f][t] = hn::MulAdd(factor[f], row, sum[f][t]);
      }
    }
  }
#pragma GCC unroll 8
  for (int f = 0; f < Filters; ++f) {
#pragma GCC unroll 8
    for (int t = 0; t < Taps; ++t) hn::Store(sum[f][t], d, s.sums + (f * Taps + t) * kLanes);
  }
}

void LaneSums(const float* x, std::int64_t n, float* y, const std::int64_t* to) {
  const Tag d;
  for (std::int64_t i = 0; i < n; ++i)
    y[to[i]] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, x + i * kLanes)));
}

const BatchLoops* Loops() {
  static const BatchLoops loops = [] {
    BatchLoops l{};
    l.lanes = kLanes;
    l.turn_in = &TurnIn, l.turn_out = &TurnOut, l.clear = &Clear, l.lane_sums = &LaneSums;
    l.most_columns = kMostColumns, l.most_filters = kMostFilters;
    l.set = {&Sweep<false, 1>, &Sweep<false, 2>, &Sweep<false, 3>,
             &Sweep<false, 4>, &Sweep<false, 5>, &Sweep<false, 6>};
    l.add = {&Sweep<true, 1>, &Sweep<true, 2>, &Sweep<true, 3>,
             &Sweep<true, 4>, &Sweep<true, 5>, &Sweep<true, 6>};
    l.sums = {&Sums<1>, &Sums<2>, &Sums<3>};
    if constexpr (kMostColumns == 8) {
      l.set[6] = &Sweep<false, kMostColumns - 1>, l.set[7] = &Sweep<false, kMostColumns>;
      l.add[6] = &Sweep<true, kMostColumns - 1>, l.add[7] = &Sweep<true, kMostColumns>;
    }
    if constexpr (kMostFilters == 6) {
      l.sums[3] = &Sums<kMostFilters - 2>, l.sums[4] = &Sums<kMostFilters - 1>;
      l.sums[5] = &Sums<kMostFilters>;
    }
    for (std::size_t f = 0; f < kMostFilters; ++f) l.taps[f] = kTaps[f + 1];
    return l;
  }();
  return &loops;
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Loops);
}  // namespace

const BatchLoops& batch_loops() { return *HWY_DYNAMIC_DISPATCH(Loops)(); }

}  // namespace descent::kernels
#endif
