// Loads and stores of fewer elements than a vector holds. Included once per target.
#include <cstring>

#include "hwy/highway.h"

#if defined(DESCENT_PARTIAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_PARTIAL_INL_H
#undef DESCENT_PARTIAL_INL_H
#else
#define DESCENT_PARTIAL_INL_H
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

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
