// Included once per target. Blocks of 128 bits square: portable, and as fast as memory allows.
#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

#if defined(DESCENT_TRANSPOSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_TRANSPOSE_INL_H
#undef DESCENT_TRANSPOSE_INL_H
#else
#define DESCENT_TRANSPOSE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
template <class E>
constexpr std::int64_t kSide = 1;
template <class E>
HWY_INLINE void TransposeBlock(const E* x, std::int64_t, E* y, std::int64_t) {
  *y = *x;
}
#else
template <class E>
constexpr std::int64_t kSide = 16 / sizeof(E);
// log2(side) times: rows i and i + side / 2 interleaved.
template <class E>
HWY_INLINE void TransposeBlock(const E* x, std::int64_t x_row, E* y, std::int64_t y_row) {
  constexpr int side = static_cast<int>(kSide<E>);
  const hn::FixedTag<E, kSide<E> > d;
  hn::Vec<decltype(d)> a[side], b[side];
#pragma GCC unroll 16
  for (int i = 0; i < side; ++i) a[i] = hn::LoadU(d, x + i * x_row);
#pragma GCC unroll 4
  for (int step = 1; step < side; step *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < side / 2; ++i) {
      b[2 * i] = hn::InterleaveLower(d, a[i], a[i + side / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + side / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < side; ++i) a[i] = b[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < side; ++i) hn::StoreU(a[i], d, y + i * y_row);
}
#endif

template <class E>
HWY_INLINE void TransposeEdge(const E* x, std::int64_t x_row, E* y, std::int64_t y_row,
                              std::int64_t rows, std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) y[j * y_row + i] = x[i * x_row + j];
  }
}

template <class E>
void Transpose(const E* x, std::int64_t x_row, E* y, std::int64_t y_row, std::int64_t rows,
               std::int64_t columns) {
  constexpr std::int64_t side = kSide<E>, line = 64 / static_cast<std::int64_t>(sizeof(E));
  const std::int64_t whole_rows = rows / side * side, whole_columns = columns / side * side;
  // A cache line's width of columns at a time: what is read of a line is used up at once.
  for (std::int64_t j0 = 0; j0 < whole_columns; j0 += line) {
    const std::int64_t j1 = std::min(j0 + line, whole_columns);
    for (std::int64_t i = 0; i < whole_rows; i += side) {
      for (std::int64_t j = j0; j < j1; j += side) {
        TransposeBlock(x + i * x_row + j, x_row, y + j * y_row + i, y_row);
      }
    }
  }
  TransposeEdge(x + whole_columns, x_row, y + whole_columns * y_row, y_row, whole_rows,
                columns - whole_columns);
  TransposeEdge(x + whole_rows * x_row, x_row, y + whole_rows, y_row, rows - whole_rows, columns);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
