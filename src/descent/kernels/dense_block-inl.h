// The inner loops of dense layers (dense_product.cpp): blocks of c in registers, and operands that
// come from memory are asked for, or packed, while they are multiplied. gemm_block-inl.h has the
// blocks for operands that lie in the caches. Included once per target.
#include <algorithm>
#include <cstdint>

#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#if defined(DESCENT_DENSE_BLOCK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_DENSE_BLOCK_INL_H
#undef DESCENT_DENSE_BLOCK_INL_H
#else
#define DESCENT_DENSE_BLOCK_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace dense {

// A block of c in registers: enough rows of 2 vectors to hide the latency of multiply-add, with
// room for b and a in 16 registers, or 32 where there are so many.
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3)
constexpr int kRows = 8;
#else
constexpr int kRows = 6;
#endif
constexpr int kVectors = 2;

// Element (i, j) at data[i * row + j * column].
template <class T>
struct Matrix {
  const T* data;
  std::int64_t row, column;
  HWY_INLINE void ask_below(int, std::int64_t) const {}
};
// The same where column is 1 and the matrix is in no cache yet: while some rows are gone through,
// those below them are asked for, one cache line with each step.
template <class T>
struct Streamed : Matrix<T> {
  HWY_INLINE void ask_below(int rows, std::int64_t l) const {
    constexpr std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    __builtin_prefetch(this->data + (rows + l % 8) * this->row + l / line * line);
  }
};

// What becomes of c: set to the product, its sums go on (each element stays one sum in order of k),
// or the whole product is added to it.
enum class Into { set, more, add };

// Row l of b, vector v, where b lies in rows of `row`. The last vector has `last` elements, if
// Whole all of its lanes: a branch inside the loop would cost a tenth.
template <bool Whole, int Vectors, class T>
struct Plain {
  const T* data;
  std::int64_t row;
  template <class D>
  HWY_INLINE hn::Vec<D> load(D d, std::int64_t l, int v, std::size_t last) const {
    const T* p = data + l * row + v * static_cast<std::int64_t>(hn::Lanes(d));
    return Whole || v + 1 < Vectors ? hn::LoadU(d, p) : LoadSome(d, p, last);
  }
};
// The same, and what is read is kept in a panel, dense rows of `Vectors` vectors. b is in no cache
// yet: what lies `ahead` elements behind is asked for.
template <bool Whole, int Vectors, class T>
struct Packing {
  Plain<Whole, Vectors, T> b;
  T* panel;
  std::int64_t ahead;
  template <class D>
  HWY_INLINE hn::Vec<D> load(D d, std::int64_t l, int v, std::size_t last) const {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    __builtin_prefetch(b.data + ahead + l * b.row + v * lanes);
    const auto x = b.load(d, l, v, last);
    hn::StoreU(x, d, panel + (l * Vectors + v) * lanes);
    return x;
  }
};

// c[Rows, cols] = a[Rows, k] b[k, cols].
template <Into I, bool Whole, int Rows, int Vectors, class A, class B, class T>
HWY_INLINE void Block(A a, B b, T* c, std::int64_t c_row, std::int64_t k, std::size_t last) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  const auto load = [&](const T* p, int v) {
    return Whole || v + 1 < Vectors ? hn::LoadU(d, p + v * lanes)
                                    : LoadSome(d, p + v * lanes, last);
  };
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      sum[i][v] = I == Into::more ? load(c + i * c_row, v) : hn::Zero(d);
    }
  }
  for (std::int64_t l = 0; l < k; ++l) {
    a.ask_below(Rows, l);
    V row[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) row[v] = b.load(d, l, v, last);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V x = hn::Set(d, a.data[i * a.row + l * a.column]);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sum[i][v] = hn::MulAdd(x, row[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      if (I == Into::add) sum[i][v] = hn::Add(load(c + i * c_row, v), sum[i][v]);
      T* p = c + i * c_row + static_cast<std::int64_t>(v * lanes);
      if (Whole || v + 1 < Vectors) {
        hn::StoreU(sum[i][v], d, p);
      } else {
        StoreSome(sum[i][v], d, p, last);
      }
    }
  }
}

// The same for m rows, in blocks of kRows and a rest.
template <Into I, bool Whole, int Vectors, class A, class T>
HWY_NOINLINE void Rows(A a, const T* b, std::int64_t b_row, T* c, std::int64_t c_row,
                       std::int64_t m, std::int64_t k, std::size_t last) {
  const Plain<Whole, Vectors, T> rows{b, b_row};
  constexpr int most = kRows * kVectors / Vectors;  // as many sums in registers
  for (; m >= most; m -= most, a.data += most * a.row, c += most * c_row) {
    Block<I, Whole, most, Vectors>(a, rows, c, c_row, k, last);
  }
  if (most > kRows && m >= kRows) {
    Block<I, Whole, kRows, Vectors>(a, rows, c, c_row, k, last);
    m -= kRows, a.data += kRows * a.row, c += kRows * c_row;
  }
  if (m >= 4) {
    Block<I, Whole, 4, Vectors>(a, rows, c, c_row, k, last);
    m -= 4, a.data += 4 * a.row, c += 4 * c_row;
  }
  if (m >= 2) {
    Block<I, Whole, 2, Vectors>(a, rows, c, c_row, k, last);
    m -= 2, a.data += 2 * a.row, c += 2 * c_row;
  }
  if (m == 1) Block<I, Whole, 1, Vectors>(a, rows, c, c_row, k, last);
}
template <Into I, int Vectors, class T>
HWY_INLINE void Column(Matrix<T> a, const T* b, std::int64_t b_row, T* c, std::int64_t c_row,
                       std::int64_t m, std::int64_t k, std::size_t last) {
  if (last == hn::Lanes(hn::ScalableTag<T>())) {
    Rows<I, true, Vectors>(a, b, b_row, c, c_row, m, k, last);
  } else {
    Rows<I, false, Vectors>(a, b, b_row, c, c_row, m, k, last);
  }
}

}  // namespace dense
}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
