// The matrix product as an operation of the graph; passes know it by type.
#pragma once
#include "descent/ir/op.h"
#include "descent/kernels/linear_algebra.h"

namespace descent {

// Operands of rank 2, or of one higher rank with equal leading extents; a rank-2 operand beside a
// batched one is used for each product.
struct MatmulOp final : OpBase<MatmulOp> {
  MatmulOp(bool ta, bool tb, DType o) : transpose_a(ta), transpose_b(tb), out(o) {}
  bool transpose_a, transpose_b;
  DType out;
  bool operator==(const MatmulOp&) const = default;
  std::string_view name() const override { return "matmul"; }
  std::string attributes() const override;
  kernels::MatmulShape shape(std::span<const Type> in) const;
  std::vector<Type> infer(std::span<const Type> in) const override;
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  Kernel bind(const Binding& b) const override;
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type> out) const override;
  double flops(std::span<const Type> in, std::span<const Type> out) const override;
};

}  // namespace descent
