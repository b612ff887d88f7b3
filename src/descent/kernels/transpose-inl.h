// Included once per target. Blocks of 128 bits square, two at a time where vectors hold two:
// portable, and as fast as memory allows.
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
constexpr std::int64_t kPieces = 1;
template <int Pieces, class E>
HWY_INLINE void TransposeBlock(const E* x, std::int64_t, E* y, std::int64_t) {
  *y = *x;
}
#else
template <class E>
constexpr std::int64_t kSide = 16 / sizeof(E);
constexpr std::int64_t kPieces = hn::MaxLanes(hn::ScalableTag<std::uint8_t>()) >= 32 ? 2 : 1;
// Pieces * side rows of side columns: the rows i and i + side are two halves of a vector. Then
// log2(side) times: rows i and i + side / 2 interleaved.
template <int Pieces, class E>
HWY_INLINE void TransposeBlock(const E* x, std::int64_t x_row, E* y, std::int64_t y_row) {
  constexpr int side = static_cast<int>(kSide<E>);
  const hn::FixedTag<E, Pieces * side> d;
  hn::Vec<decltype(d)> a[side], b[side];
#pragma GCC unroll 16
  for (int i = 0; i < side; ++i) {
    if constexpr (Pieces == 1) {
      a[i] = hn::LoadU(d, x + i * x_row);
    } else {
      const hn::Half<decltype(d)> half;
      a[i] =
          hn::Combine(d, hn::LoadU(half, x + (i + side) * x_row), hn::LoadU(half, x + i * x_row));
    }
  }
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

// Blocks of whole rows [begin, end), whole columns.
template <int Pieces, class E>
HWY_INLINE void TransposeBlocks(const E* x, std::int64_t x_row, E* y, std::int64_t y_row,
                                std::int64_t begin, std::int64_t end, std::int64_t columns) {
  constexpr std::int64_t side = kSide<E>, line = 64 / static_cast<std::int64_t>(sizeof(E));
  // A cache line's width of columns at a time: what is read of a line is used up at once.
  for (std::int64_t j0 = 0; j0 < columns; j0 += line) {
    const std::int64_t j1 = std::min(j0 + line, columns);
    for (std::int64_t i = begin; i < end; i += Pieces * side) {
      for (std::int64_t j = j0; j < j1; j += side) {
        TransposeBlock<Pieces>(x + i * x_row + j, x_row, y + j * y_row + i, y_row);
      }
    }
  }
}

template <class E>
void Transpose(const E* x, std::int64_t x_row, E* y, std::int64_t y_row, std::int64_t rows,
               std::int64_t columns) {
  constexpr std::int64_t side = kSide<E>, pieces = kPieces;
  const std::int64_t whole_rows = rows / side * side, whole_columns = columns / side * side;
  const std::int64_t wide_rows = rows / (pieces * side) * (pieces * side);
  TransposeBlocks<pieces>(x, x_row, y, y_row, 0, wide_rows, whole_columns);
  TransposeBlocks<1>(x, x_row, y, y_row, wide_rows, whole_rows, whole_columns);
  TransposeEdge(x + whole_columns, x_row, y + whole_columns * y_row, y_row, whole_rows,
                columns - whole_columns);
  TransposeEdge(x + whole_rows * x_row, x_row, y + whole_rows, y_row, rows - whole_rows, columns);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
