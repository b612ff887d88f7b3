// Forward mode of an operation that is linear in each of its two inputs.
#pragma once
#include "descent/ops/ops.h"

namespace descent {

// op(ta, b) + op(a, tb), tangents rounded to the operands' type.
template <class BilinearOp>
Values bilinear_jvp(const BilinearOp& op, ValueSpan in, ValueSpan tangent) {
  Value total;
  if (tangent[0]) total = apply(op, {cast(tangent[0], in[0].dtype()), in[1]});
  if (tangent[1]) {
    const Value second = apply(op, {in[0], cast(tangent[1], in[1].dtype())});
    total = total ? total + second : second;
  }
  return {total};
}

}  // namespace descent
