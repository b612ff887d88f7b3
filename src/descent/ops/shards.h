// The two operations between replicated and per-shard values; a plan knows them by type.
#pragma once
#include "descent/ir/op.h"

namespace descent {

// Sum over the shards, shard 0 first: per shard -> replicated.
struct AllReduceSumOp final : OpBase<AllReduceSumOp> {
  bool operator==(const AllReduceSumOp&) const = default;
  std::string_view name() const override { return "all_reduce_sum"; }
  std::vector<Type> infer(std::span<const Type> in) const override;
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  Kernel bind(const Binding& b) const override;
  bool collective(int) const override { return true; }
};

// A replicated value taken as every shard's own: its gradient is the sum of the shards'.
struct ToShardsOp final : OpBase<ToShardsOp> {
  bool operator==(const ToShardsOp&) const = default;
  std::string_view name() const override { return "to_shards"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, in[0].shape, true}};
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override;
  std::optional<std::int64_t> view(std::span<const Type>) const override { return 0; }
  Kernel bind(const Binding& b) const override;
};

}  // namespace descent
