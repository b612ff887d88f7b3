// The product of layers that multiply by a matrix of parameters.
#pragma once
#include "descent/nn/module.h"
#include "descent/ops/ops.h"

namespace descent::nn {

// x W^T over the last axis: x [..., inputs], weight [units, inputs]. In mixed precision the
// operands are rounded; the product accumulates in and gives float32.
inline Value product(const Scope& scope, const Value& x, const Value& weight) {
  if (scope.compute != DType::bfloat16) return matmul(x, weight, false, true);
  return matmul(cast(x, DType::bfloat16), cast(weight, DType::bfloat16), false, true);
}

}  // namespace descent::nn
