// Reductions of rows and columns. Which numbers are combined in which order depends on the shape
// only, not on the target: a row is summed in interleaved lanes, their number whatever a vector
// holds; a column in blocks of rows; blocks in pairs. Included once per target.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "descent/kernels/reduce.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#if defined(DESCENT_REDUCE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_REDUCE_INL_H
#undef DESCENT_REDUCE_INL_H
#else
#define DESCENT_REDUCE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

struct Sum {
  template <class T>
  static constexpr T start() {
    return T{0};
  }
  template <class T>
  static HWY_INLINE T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {  // wraps around
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V apply(D, V a, V b) {
    return hn::Add(a, b);
  }
};
// Largest or smallest; NaN stays, on whichever side it comes.
template <bool Largest>
struct Extreme {
  template <class T>
  static constexpr T start() {
    using L = std::numeric_limits<T>;
    if (Largest) return L::has_infinity ? -L::infinity() : L::lowest();
    return L::has_infinity ? L::infinity() : L::max();
  }
  template <class T>
  static HWY_INLINE T apply(T a, T b) {
    return (Largest ? a > b : a < b) || a != a ? a : b;
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V apply(D, V a, V b) {
    const V either = Largest ? MaxOrSecond(a, b) : MinOrSecond(a, b);
    if constexpr (std::is_integral_v<hn::TFromD<D>>) {
      return either;
    } else {
      return hn::IfThenElse(hn::IsNaN(a), a, either);
    }
  }
};

template <class T>
constexpr std::size_t kLanes = 256 / sizeof(T);  // interleaved partial results of a row
template <class T>
constexpr std::int64_t kRowBlock =
    SumStream::kRows* kLanes<T>;                         // elements of a row combined lane by lane
constexpr std::int64_t kColumnBlock = SumStream::kRows;  // rows combined one after the other
constexpr std::int64_t kChunk = 128;                     // columns at a time

template <class T>
using LaneTag = hn::CappedTag<T, kLanes<T>>;

// LoadSome with `start` in the missing lanes.
template <class Op, class D, class T>
HWY_INLINE hn::Vec<D> LoadPadded(D d, const T* p, std::size_t count) {
  const auto v = LoadSome(d, p, count);
  if constexpr (std::is_same_v<Op, Sum>) return v;
  return hn::IfThenElse(hn::FirstN(d, count), v, hn::Set(d, Op::template start<T>()));
}

// The lanes in a tree: j with j + half, and so on down to one.
template <class Op, class D, class V = hn::Vec<D>>
HWY_INLINE hn::TFromD<D> Fold(D d, V v) {
  using T = hn::TFromD<D>;
  constexpr std::size_t count = hn::MaxLanes(d);
#if HWY_TARGET != HWY_SCALAR
  if constexpr (count * sizeof(T) > 16) {
    const hn::Half<D> half;
    return Fold<Op>(half, Op::apply(half, hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
#endif
  HWY_ALIGN T lanes[count];
  hn::Store(v, d, lanes);
  for (std::size_t half = count / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) lanes[j] = Op::apply(lanes[j], lanes[j + half]);
  }
  return lanes[0];
}

// Lane by lane, n elements are combined into `lanes` (kLanes of them).
template <class T>
void RowLanes(const T* x, std::size_t n, T* lanes) {
  const LaneTag<T> d;
  constexpr std::size_t width = hn::MaxLanes(d), parts = kLanes<T> / width;
  hn::Vec<decltype(d)> part[parts];
#pragma GCC unroll 16
  for (std::size_t p = 0; p < parts; ++p) part[p] = hn::LoadU(d, lanes + p * width);
  std::size_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
#pragma GCC unroll 16
    for (std::size_t p = 0; p < parts; ++p)
      part[p] = hn::Add(part[p], hn::LoadU(d, x + i + p * width));
  }
#pragma GCC unroll 16
  for (std::size_t p = 0; p < parts; ++p) {
    if (i + p * width < n)
      part[p] =
          hn::Add(part[p], LoadSome(d, x + i + p * width, std::min(width, n - i - p * width)));
  }
#pragma GCC unroll 16
  for (std::size_t p = 0; p < parts; ++p) hn::StoreU(part[p], d, lanes + p * width);
}
// The lanes in a tree, as RowBlock ends.
template <class T>
T FoldLanes(const T* lanes) {
  T left[kLanes<T>];
  std::copy_n(lanes, kLanes<T>, left);
  for (std::size_t half = kLanes<T> / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) left[j] = left[j] + left[j + half];
  }
  return left[0];
}

// n <= kRowBlock elements.
template <class Op, class T>
HWY_INLINE T RowBlock(const T* x, std::size_t n) {
  const LaneTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr std::size_t width = hn::MaxLanes(d), parts = kLanes<T> / width;
  const V start = hn::Set(d, Op::template start<T>());
  if (n <= width) {  // the lanes behind are all `start` and change nothing
    if (n == 0) return Op::template start<T>();
    return Fold<Op>(d, Op::apply(d, start, LoadPadded<Op>(d, x, n)));
  }
  V part[parts];
#pragma GCC unroll 16
  for (std::size_t p = 0; p < parts; ++p) part[p] = start;
  std::size_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
#pragma GCC unroll 16
    for (std::size_t p = 0; p < parts; ++p) {
      part[p] = Op::apply(d, part[p], hn::LoadU(d, x + i + p * width));
    }
  }
#pragma GCC unroll 16
  for (std::size_t p = 0; p < parts; ++p) {
    if (i + p * width < n) {
      const std::size_t count = std::min(width, n - i - p * width);
      part[p] = Op::apply(d, part[p], LoadPadded<Op>(d, x + i + p * width, count));
    }
  }
#pragma GCC unroll 8
  for (std::size_t half = parts / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (std::size_t p = 0; p < half; ++p) part[p] = Op::apply(d, part[p], part[p + half]);
  }
  return Fold<Op>(d, part[0]);
}

// The largest power of two times `block` below n: where pairwise reduction cuts.
inline std::int64_t Cut(std::int64_t n, std::int64_t block) {
  std::int64_t cut = block;
  while (2 * cut < n) cut *= 2;
  return cut;
}

template <class Op, class T>
T Row(const T* x, std::int64_t n) {
  if (n <= kRowBlock<T>) return RowBlock<Op>(x, static_cast<std::size_t>(n));
  const std::int64_t cut = Cut(n, kRowBlock<T>);
  const T left = Row<Op>(x, cut);
  return Op::apply(left, Row<Op>(x + cut, n - cut));
}

// out[j] = reduction over i of x[i * inner + j], j < width <= kChunk, n <= kColumnBlock rows.
template <class Op, class T>
HWY_INLINE void ColumnBlock(const T* x, T* out, std::int64_t n, std::int64_t inner,
                            std::int64_t width) {
  const LaneTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t j = 0; j < width; j += lanes) {
    const auto count = static_cast<std::size_t>(std::min(lanes, width - j));
    const T* p = x + j;
    V sum = hn::Set(d, Op::template start<T>());
    std::int64_t i = 0;
    for (; i + 4 <= n; i += 4, p += 4 * inner) {
      const V low = Op::apply(d, LoadSome(d, p, count), LoadSome(d, p + inner, count));
      const V high =
          Op::apply(d, LoadSome(d, p + 2 * inner, count), LoadSome(d, p + 3 * inner, count));
      sum = Op::apply(d, sum, Op::apply(d, low, high));
    }
    for (; i < n; ++i, p += inner) sum = Op::apply(d, sum, LoadSome(d, p, count));
    StoreSome(sum, d, out + j, count);
  }
}

template <class Op, class T>
void Columns(const T* x, T* out, std::int64_t n, std::int64_t inner, std::int64_t width) {
  if (n <= kColumnBlock) return ColumnBlock<Op>(x, out, n, inner, width);
  const std::int64_t cut = Cut(n, kColumnBlock);
  T right[kChunk];
  Columns<Op>(x, out, cut, inner, width);
  Columns<Op>(x + cut * inner, right, n - cut, inner, width);
  for (std::int64_t j = 0; j < width; ++j) out[j] = Op::apply(out[j], right[j]);
}

// ---- a sum taken piece by piece (SumStream) ----
// Blocks that are complete are combined like the digits of a binary counter: level k holds the sum
// of 2^k blocks. The state: where it stands, the block under way, then the levels.

struct StreamHead {
  std::int64_t filled = 0;  // elements (inner == 1) or rows in the block under way
  std::uint64_t blocks = 0;
};
constexpr std::size_t kStreamHead = SumStream::kHead;
template <class T>
std::int64_t StreamBlock(std::int64_t inner) {
  return inner == 1 ? kRowBlock<T> : kColumnBlock;
}
template <class T>
std::int64_t StreamWidth(std::int64_t inner) {  // of the block under way
  return inner == 1 ? static_cast<std::int64_t>(kLanes<T>) : inner;
}

// `block` joins the complete ones at the lowest free level; the older sum is the left operand.
template <class T>
void Carry(StreamHead& head, T* levels, T* block, std::int64_t inner) {
  std::size_t level = 0;
  for (std::uint64_t bits = head.blocks; (bits & 1) != 0; bits >>= 1, ++level) {
    const T* older = levels + static_cast<std::int64_t>(level) * inner;
    for (std::int64_t j = 0; j < inner; ++j) block[j] = older[j] + block[j];
  }
  std::copy_n(block, inner, levels + static_cast<std::int64_t>(level) * inner);
  ++head.blocks;
}

template <class T>
void StreamEndBlock(StreamHead& head, T* under_way, T* levels, std::int64_t inner) {
  if (inner == 1) under_way[0] = FoldLanes(under_way);
  Carry(head, levels, under_way, inner);
  std::fill_n(under_way, StreamWidth<T>(inner), T{0});
  head.filled = 0;
}

// Rows of the block under way, four at a time as ColumnBlock takes them.
template <class T>
void AddRows(const T* x, T* sum, std::int64_t rows, std::int64_t inner) {
  const LaneTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t j = 0; j < inner; j += lanes) {
    const auto count = static_cast<std::size_t>(std::min(lanes, inner - j));
    const T* p = x + j;
    auto total = LoadSome(d, sum + j, count);
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4, p += 4 * inner) {
      const auto low = hn::Add(LoadSome(d, p, count), LoadSome(d, p + inner, count));
      const auto high =
          hn::Add(LoadSome(d, p + 2 * inner, count), LoadSome(d, p + 3 * inner, count));
      total = hn::Add(total, hn::Add(low, high));
    }
    for (; i < rows; ++i, p += inner) total = hn::Add(total, LoadSome(d, p, count));
    StoreSome(total, d, sum + j, count);
  }
}

template <class T>
void StreamAdd(void* state, const void* vx, std::int64_t inner, std::int64_t elements) {
  auto& head = *static_cast<StreamHead*>(state);
  auto* under_way = reinterpret_cast<T*>(static_cast<char*>(state) + kStreamHead);
  T* levels = under_way + StreamWidth<T>(inner);
  const auto* x = static_cast<const T*>(vx);
  std::int64_t left = elements / inner;
  while (left > 0) {
    const std::int64_t now = std::min(left, StreamBlock<T>(inner) - head.filled);
    if (inner == 1) {
      RowLanes(x, static_cast<std::size_t>(now), under_way);
    } else {
      AddRows(x, under_way, now, inner);
    }
    x += now * inner, left -= now, head.filled += now;
    if (head.filled == StreamBlock<T>(inner)) StreamEndBlock(head, under_way, levels, inner);
  }
}

template <class T>
void StreamFinish(void* state, void* vout, std::int64_t inner) {
  auto& head = *static_cast<StreamHead*>(state);
  auto* under_way = reinterpret_cast<T*>(static_cast<char*>(state) + kStreamHead);
  const T* levels = under_way + StreamWidth<T>(inner);
  auto* out = static_cast<T*>(vout);
  bool any = head.filled > 0 || head.blocks == 0;
  if (any) {
    if (inner == 1) under_way[0] = FoldLanes(under_way);
    std::copy_n(under_way, inner, out);
  }
  for (std::uint64_t bits = head.blocks, level = 0; bits != 0; bits >>= 1, ++level) {
    if ((bits & 1) == 0) continue;
    const T* older = levels + static_cast<std::int64_t>(level) * inner;
    for (std::int64_t j = 0; j < inner; ++j) out[j] = any ? older[j] + out[j] : older[j];
    any = true;
  }
}

template <class Op, class T>
void Reduce(const void* vx, void* vout, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  const auto* x = static_cast<const T*>(vx);
  auto* out = static_cast<T*>(vout);
  if (inner == 1) {
    for (std::int64_t i = 0; i < outer; ++i) out[i] = Row<Op>(x + i * n, n);
    return;
  }
  for (std::int64_t i = 0; i < outer; ++i, x += n * inner, out += inner) {
    for (std::int64_t j = 0; j < inner; j += kChunk) {
      Columns<Op>(x + j, out + j, n, inner, std::min(kChunk, inner - j));
    }
  }
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
