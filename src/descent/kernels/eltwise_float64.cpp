// The elementwise rows in float64, compiled once per target.
#include "descent/kernels/eltwise_internal.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/eltwise_float64.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_loops-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
const EltwiseFn* Float64Table() { return LoopTable<double>(); }
}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(Float64Table);
const EltwiseFn* eltwise_table_float64() {
  static const EltwiseFn* const table = HWY_DYNAMIC_DISPATCH(Float64Table)();
  return table;
}
}  // namespace descent::kernels
#endif
