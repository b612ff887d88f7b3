// The transposition as an operation of the graph; a plan knows it by type.
#pragma once
#include "descent/ir/op.h"

namespace descent {

// Axis i of the result is axis axes[i] of the operand.
struct TransposeOp final : OpBase<TransposeOp> {
  explicit TransposeOp(std::vector<int> a) : axes(std::move(a)) {}
  std::vector<int> axes;
  bool operator==(const TransposeOp&) const = default;
  std::string_view name() const override { return "transpose"; }
  std::string attributes() const override;
  std::vector<Type> infer(std::span<const Type> in) const override;
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  Kernel bind(const Binding& b) const override;
  double flops(std::span<const Type>, std::span<const Type>) const override { return 0; }
  int copies(std::span<const Type>, std::span<const Type>) const override { return 1; }
};

}  // namespace descent
