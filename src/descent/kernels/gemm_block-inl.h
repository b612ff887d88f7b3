// The inner loops of our own products: blocks of c in registers, whatever the product is part of.
// Included once per target.
#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#if defined(DESCENT_GEMM_BLOCK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_GEMM_BLOCK_INL_H
#undef DESCENT_GEMM_BLOCK_INL_H
#else
#define DESCENT_GEMM_BLOCK_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// A block of c in registers: most rows for so many vectors, with room for b and a in 16 registers,
// or 32 where there are so many.
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int kMostRows[] = {0, 12, 8, 8};
#else
constexpr int kMostRows[] = {0, 8, 6, 4};
#endif
constexpr int kVectors = 3;

// Element (i, j) at data[i * row + j * column].
template <class T>
struct View {
  const T* data;
  std::int64_t row, column;
};

// c[m, cols] (=, or += if accumulate) a[m, k] b[k, cols]. The last vector of a row has `last`
// elements.
template <class T>
struct BlockOperands {
  View<T> a;
  const T* b;
  std::int64_t b_row;
  T* c;
  std::int64_t c_row, k;
  std::size_t last;
  bool accumulate;
};

// Rows rows of it, and if Whole the last vector has all of its lanes. Not inlined: among others of
// its kind it would not keep its addresses in registers.
template <bool Whole, int Rows, int Vectors, class T>
HWY_NOINLINE void Block(const BlockOperands<T>& o) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  const SomeLanes<true, decltype(d)> whole(d, lanes);
  const SomeLanes<Whole, decltype(d)> last(d, o.last);
  const auto load = [&](const T* p, int v) {
    return v + 1 < Vectors ? whole.load(d, p + v * lanes) : last.load(d, p + v * lanes);
  };
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[i][v] = hn::Zero(d);
  }
  T* c = o.c;
  const std::int64_t c_row = o.c_row;
  if (o.accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i, c += c_row) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = load(c, v);
    }
    c = o.c;
    asm("" : "+r"(c));  // or the compiler keeps the addresses of c, and spills those of a
  }
  const T *a = o.a.data, *b = o.b;
  const std::int64_t row = o.a.row, column = o.a.column, b_row = o.b_row;
  const T* a4 = Rows > 4 ? a + 4 * row : a;
  const T* a8 = Rows > 8 ? a + 8 * row : a;
  for (std::int64_t l = o.k; l > 0; --l) {
    V y[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) y[v] = load(b, v);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      // By name: GCC 12 with -fsanitize=undefined takes a wrong one where the choice is
      // subscripted.
      const T* four = i < 4 ? a : i < 8 ? a4 : a8;
      const V x = hn::Set(d, four[i % 4 * row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = hn::MulAdd(x, y[v], sum[i][v]);
    }
    a += column, a4 += column, a8 += column, b += b_row;
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i, c += c_row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      T* p = c + static_cast<std::int64_t>(v * lanes);
      if (v + 1 < Vectors) {
        whole.store(sum[i][v], d, p);
      } else {
        last.store(sum[i][v], d, p);
      }
    }
  }
}

// All m rows: as many blocks of most rows as there are, and two of half the rest, since a block of
// few rows waits for its multiply-adds.
template <bool Whole, int Vectors, class T>
HWY_INLINE void Rows(BlockOperands<T> o, std::int64_t m) {
  constexpr int most = kMostRows[Vectors];
  // Of 1, 2, ... rows.
  static constexpr auto blocks = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<void (*)(const BlockOperands<T>&), most>{&Block<Whole, I + 1, Vectors, T>...};
  }
  (std::make_integer_sequence<int, most>());
  while (m > 0) {
    const std::int64_t rows = m >= 2 * most ? most : m > most ? (m + 1) / 2 : m;
    blocks[static_cast<std::size_t>(rows - 1)](o);
    m -= rows, o.a.data += rows * o.a.row, o.c += rows * o.c_row;
  }
}
// The same for so many columns of b and c, at most kVectors vectors of them.
template <int Vectors, class T>
HWY_INLINE void Column(BlockOperands<T> o, std::int64_t m, std::int64_t columns) {
  const std::size_t lanes = hn::Lanes(hn::ScalableTag<T>());
  o.last = static_cast<std::size_t>(columns) - (Vectors - 1) * lanes;
  if (o.last == lanes) return Rows<true, Vectors>(o, m);
  Rows<false, Vectors>(o, m);
}
template <class T>
HWY_INLINE void Columns(const BlockOperands<T>& o, std::int64_t m, std::int64_t columns) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  if (columns > 2 * lanes) return Column<3>(o, m, columns);
  if (columns > lanes) return Column<2>(o, m, columns);
  Column<1>(o, m, columns);
}

// How many of the n columns that are left come next: three vectors, but of four two twice.
template <class T>
HWY_INLINE std::int64_t NextColumns(std::int64_t n) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const bool four = n > 3 * lanes && n <= 4 * lanes;
  return std::min(n, (four ? 2 : kVectors) * lanes);
}

// c[m, n] (=, or += if Accumulate) a[m, k] b[k, n], b and c in rows of b_row and c_row. Each
// element is summed in order of k.
template <bool Accumulate, class T>
HWY_INLINE void Product(View<T> a, const T* b, std::int64_t b_row, T* c, std::int64_t c_row,
                        std::int64_t m, std::int64_t k, std::int64_t n) {
  for (std::int64_t j = 0, columns; j < n; j += columns) {
    columns = NextColumns<T>(n - j);
    Columns<T>({a, b + j, b_row, c + j, c_row, k, 0, Accumulate}, m, columns);
  }
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
