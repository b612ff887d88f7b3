// Elementwise operations and conversions as operations of the graph; the rows are in
// kernels/eltwise_table.h. Chains of them are what a plan fuses.
#pragma once
#include "descent/ir/op.h"
#include "descent/kernels/eltwise.h"

namespace descent {

struct EltwiseOp final : OpBase<EltwiseOp> {
  explicit EltwiseOp(kernels::Eltwise c) : code(c) {}
  kernels::Eltwise code;
  bool operator==(const EltwiseOp&) const = default;
  std::string_view name() const override { return kernels::info(code).name; }
  std::optional<Values> channels_last(ValueSpan in) const override;
  std::vector<Type> infer(std::span<const Type> in) const override;
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  Kernel bind(const Binding& b) const override;
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type> out) const override;
};

struct CastOp final : OpBase<CastOp> {
  explicit CastOp(DType t) : to(t) {}
  DType to;
  bool operator==(const CastOp&) const = default;
  std::string_view name() const override { return "cast"; }
  std::string attributes() const override { return std::string(name_of(to)); }
  std::optional<Values> channels_last(ValueSpan in) const override;
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{to, in[0].shape, in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  Kernel bind(const Binding& b) const override;
};

}  // namespace descent
