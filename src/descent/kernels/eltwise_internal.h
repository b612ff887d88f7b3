// The tables of kernels behind eltwise_kernel(), indexed by Eltwise; for the files of this room.
#pragma once
#include "descent/kernels/eltwise.h"

namespace descent::kernels {

// For this processor, chosen at the first call.
const EltwiseFn* eltwise_table_float32();
const EltwiseFn* eltwise_table_float64();
// nullptr where the row is not NUMERIC.
const EltwiseFn* eltwise_table_int32();
const EltwiseFn* eltwise_table_int64();

}  // namespace descent::kernels
