// What the vector loops of this room share: loads and stores of fewer elements than a vector holds,
// Min and Max with a known answer to NaN. Included once per target.
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

#if defined(DESCENT_VECTOR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_VECTOR_INL_H
#undef DESCENT_VECTOR_INL_H
#else
#define DESCENT_VECTOR_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The first `count` (1 .. lanes) elements, zeros after them. Targets without masked memory access
// (HWY_MEM_OPS_MIGHT_FAULT) would touch what lies behind: those go through a buffer.
template <class D>
HWY_INLINE hn::Vec<D> LoadSome(D d, const hn::TFromD<D>* p, std::size_t count) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN hn::TFromD<D> buffer[hn::MaxLanes(d)] = {};
  std::memcpy(buffer, p, count * sizeof *p);
  return hn::Load(d, buffer);
#else
  return hn::MaskedLoad(hn::FirstN(d, count), d, p);
#endif
}
template <class D>
HWY_INLINE void StoreSome(hn::Vec<D> v, D d, hn::TFromD<D>* p, std::size_t count) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN hn::TFromD<D> buffer[hn::MaxLanes(d)];
  hn::Store(v, d, buffer);
  std::memcpy(p, buffer, count * sizeof *p);
#else
  hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#endif
}

// The same where most vectors are whole.
template <class D>
HWY_INLINE hn::Vec<D> LoadUpTo(D d, const hn::TFromD<D>* p, std::size_t count) {
  return count == hn::Lanes(d) ? hn::LoadU(d, p) : LoadSome(d, p, count);
}
template <class D>
HWY_INLINE void StoreUpTo(hn::Vec<D> v, D d, hn::TFromD<D>* p, std::size_t count) {
  if (count == hn::Lanes(d)) return hn::StoreU(v, d, p);
  StoreSome(v, d, p, count);
}
// The same for one number of elements known before a loop, or all lanes if Whole.
template <bool Whole, class D>
struct SomeLanes {
  SomeLanes(D, std::size_t) {}
  HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* p) const { return hn::LoadU(d, p); }
  HWY_INLINE void store(hn::Vec<D> v, D d, hn::TFromD<D>* p) const { hn::StoreU(v, d, p); }
};
#if HWY_MEM_OPS_MIGHT_FAULT
template <class D>
struct SomeLanes<false, D> {
  std::size_t count;
  SomeLanes(D, std::size_t n) : count(n) {}
  HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* p) const { return LoadSome(d, p, count); }
  HWY_INLINE void store(hn::Vec<D> v, D d, hn::TFromD<D>* p) const { StoreSome(v, d, p, count); }
};
#else
template <class D>
struct SomeLanes<false, D> {
  hn::Mask<D> mask;
  SomeLanes(D d, std::size_t n) : mask(hn::FirstN(d, n)) {}
  HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* p) const {
    return hn::MaskedLoad(mask, d, p);
  }
  HWY_INLINE void store(hn::Vec<D> v, D d, hn::TFromD<D>* p) const {
    hn::BlendedStore(v, mask, d, p);
  }
};
#endif

// f(begin, elements) for each vector of n elements.
template <class T, class F>
HWY_INLINE void ForEachVector(std::int64_t n, const F& f) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, static_cast<std::size_t>(lanes));
  if (i < n) f(i, static_cast<std::size_t>(n - i));
}

// Highway leaves open which operand Min and Max return when one is NaN. x86 returns the second;
// where that is not known, a comparison decides.
#undef DESCENT_MIN_RETURNS_SECOND
#define DESCENT_MIN_RETURNS_SECOND \
  (HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128)

template <class V>
HWY_INLINE V MinOrSecond(V a, V b) {
#if DESCENT_MIN_RETURNS_SECOND
  return hn::Min(a, b);
#else
  return hn::IfThenElse(hn::Lt(a, b), a, b);
#endif
}
template <class V>
HWY_INLINE V MaxOrSecond(V a, V b) {
#if DESCENT_MIN_RETURNS_SECOND
  return hn::Max(a, b);
#else
  return hn::IfThenElse(hn::Gt(a, b), a, b);
#endif
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
