// Loops over contiguous elements for every floating-point row of eltwise_table.h, and the table of
// their addresses. Included once per target.
#include <algorithm>
#include <array>

#include "descent/kernels/eltwise.h"
#include "descent/kernels/eltwise_math-inl.h"
#include "descent/kernels/vector-inl.h"

#if defined(DESCENT_ELTWISE_LOOPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_ELTWISE_LOOPS_INL_H
#undef DESCENT_ELTWISE_LOOPS_INL_H
#else
#define DESCENT_ELTWISE_LOOPS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

#define K(c) Const(d, c)
#define ROW1(name, kernel)                                           \
  struct Row_##name {                                                \
    static constexpr int arity = 1;                                  \
    template <class D, class V>                                      \
    HWY_INLINE V operator()([[maybe_unused]] D d, V x, V, V) const { \
      return kernel;                                                 \
    }                                                                \
  };
#define ROW2(name, kernel)                                             \
  struct Row_##name {                                                  \
    static constexpr int arity = 2;                                    \
    template <class D, class V>                                        \
    HWY_INLINE V operator()([[maybe_unused]] D d, V a, V b, V) const { \
      return kernel;                                                   \
    }                                                                  \
  };
#define ELTWISE1(name, kernel, dx) ROW1(name, kernel)
#define NUMERIC1(name, kernel, dx) ROW1(name, kernel)
#define ELTWISE2(name, kernel, da, db) ROW2(name, kernel)
#define NUMERIC2(name, kernel, da, db) ROW2(name, kernel)
#define NUMERIC3(name, kernel, dm, da, db)                               \
  struct Row_##name {                                                    \
    static constexpr int arity = 3;                                      \
    template <class D, class V>                                          \
    HWY_INLINE V operator()([[maybe_unused]] D d, V m, V a, V b) const { \
      return kernel;                                                     \
    }                                                                    \
  };
#include "descent/kernels/eltwise_table.h"
#undef ROW1
#undef ROW2
#undef K

template <class T, class Row>
void Loop(const void* va, const void* vb, const void* vc, void* vout, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto* a = static_cast<const T*>(va);
  [[maybe_unused]] const auto* b = static_cast<const T*>(vb);
  [[maybe_unused]] const auto* c = static_cast<const T*>(vc);
  auto* out = static_cast<T*>(vout);
  const std::size_t n = static_cast<std::size_t>(count), lanes = hn::Lanes(d);
  const Row f;
  std::size_t i = 0;
  // Two vectors at a time, loads before stores: their latencies overlap.
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const V a0 = hn::LoadU(d, a + i), a1 = hn::LoadU(d, a + i + lanes);
    V b0 = a0, b1 = a1, c0 = a0, c1 = a1;
    if constexpr (Row::arity > 1) b0 = hn::LoadU(d, b + i), b1 = hn::LoadU(d, b + i + lanes);
    if constexpr (Row::arity > 2) c0 = hn::LoadU(d, c + i), c1 = hn::LoadU(d, c + i + lanes);
    const V y0 = f(d, a0, b0, c0), y1 = f(d, a1, b1, c1);
    hn::StoreU(y0, d, out + i);
    hn::StoreU(y1, d, out + i + lanes);
  }
  for (; i < n; i += lanes) {
    const std::size_t left = std::min(lanes, n - i);
    const V a0 = LoadSome(d, a + i, left);
    V b0 = a0, c0 = a0;
    if constexpr (Row::arity > 1) b0 = LoadSome(d, b + i, left);
    if constexpr (Row::arity > 2) c0 = LoadSome(d, c + i, left);
    StoreSome(f(d, a0, b0, c0), d, out + i, left);
  }
}

template <class T>
const EltwiseFn* LoopTable() {
  static constexpr std::array<EltwiseFn, static_cast<std::size_t>(Eltwise::count)> table = {
#define ELTWISE1(name, kernel, dx) &Loop<T, Row_##name>,
#define NUMERIC1(name, kernel, dx) &Loop<T, Row_##name>,
#define ELTWISE2(name, kernel, da, db) &Loop<T, Row_##name>,
#define NUMERIC2(name, kernel, da, db) &Loop<T, Row_##name>,
#define NUMERIC3(name, kernel, dm, da, db) &Loop<T, Row_##name>,
#include "descent/kernels/eltwise_table.h"
  };
  return table.data();
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
