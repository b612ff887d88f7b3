#include "descent/kernels/eltwise.h"

#include "descent/kernels/eltwise_internal.h"

namespace descent::kernels {

const EltwiseInfo& info(Eltwise code) {
  static constexpr EltwiseInfo rows[] = {
#define ELTWISE1(name, kernel, dx) {#name, 1, false},
#define ELTWISE2(name, kernel, da, db) {#name, 2, false},
#define NUMERIC1(name, kernel, dx) {#name, 1, true},
#define NUMERIC2(name, kernel, da, db) {#name, 2, true},
#define NUMERIC3(name, kernel, dm, da, db) {#name, 3, true},
#include "descent/kernels/eltwise_table.h"
  };
  return rows[static_cast<std::size_t>(code)];
}

EltwiseFn eltwise_kernel(Eltwise code, DType dtype) {
  const auto row = static_cast<std::size_t>(code);
  switch (dtype) {
    case DType::float32:
      return eltwise_table_float32()[row];
    case DType::float64:
      return eltwise_table_float64()[row];
    case DType::int32:
      return eltwise_table_int32()[row];
    case DType::int64:
      return eltwise_table_int64()[row];
    default:
      return nullptr;
  }
}

}  // namespace descent::kernels
