// The products of layers that multiply by parameters.
#pragma once
#include "descent/nn/module.h"
#include "descent/ops/ops.h"

namespace descent::nn {

// An operand of a product or convolution: rounded in mixed precision. What comes out is summed in
// float32, and stays so.
inline Value operand(const Scope& scope, const Value& x) {
  return scope.compute == DType::bfloat16 ? cast(x, DType::bfloat16) : x;
}

// x W^T over the last axis: x [..., inputs], weight [units, inputs].
inline Value product(const Scope& scope, const Value& x, const Value& weight) {
  return matmul(operand(scope, x), operand(scope, weight), false, true);
}

}  // namespace descent::nn
