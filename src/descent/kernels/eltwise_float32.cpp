// The elementwise rows in float32, compiled once per target.
#include "descent/kernels/eltwise_internal.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/eltwise_float32.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_loops-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
const EltwiseFn* Float32Table() { return LoopTable<float>(); }
const char* TargetName() { return hwy::TargetName(HWY_TARGET); }
}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(Float32Table);
const EltwiseFn* eltwise_table_float32() {
  static const EltwiseFn* const table = HWY_DYNAMIC_DISPATCH(Float32Table)();
  return table;
}
HWY_EXPORT(TargetName);
std::string_view simd_target() {
  static const char* const name = HWY_DYNAMIC_DISPATCH(TargetName)();
  return name;
}
}  // namespace descent::kernels
#endif
