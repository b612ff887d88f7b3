#include "descent/kernels/transpose.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/transpose.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/transpose-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

template <class E>
void TransposeOf(const void* x, std::int64_t x_row, void* y, std::int64_t y_row, std::int64_t rows,
                 std::int64_t columns) {
  Transpose(static_cast<const E*>(x), x_row, static_cast<E*>(y), y_row, rows, columns);
}
TransposeFn FindTranspose(std::size_t element) {
  switch (element) {
    case 1:
      return &TransposeOf<std::uint8_t>;
    case 2:
      return &TransposeOf<std::uint16_t>;
    case 4:
      return &TransposeOf<std::uint32_t>;
    case 8:
      return &TransposeOf<std::uint64_t>;
    default:
      return nullptr;
  }
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(FindTranspose);
TransposeFn transpose_kernel(std::size_t element_bytes) {
  const auto kernel = HWY_DYNAMIC_DISPATCH(FindTranspose)(element_bytes);
  if (kernel == nullptr) {
    throw Error(ErrorKind::internal,
                fmt::format("[transpose] no kernel for elements of {} bytes", element_bytes));
  }
  return kernel;
}
}  // namespace descent::kernels
#endif
