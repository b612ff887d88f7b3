// A product of per-shard matrices whose results are only summed over the shards, as the gradient of
// a dense layer's weights is: one operation that adds while it multiplies. No shard's own product
// is kept in memory, and the rows of the result can be split over threads.
#pragma once
#include "descent/ops/matmul.h"

namespace descent {

// sum over shards of a^T b, shard 0 first: per shard [k, m], [k, n] -> replicated [m, n], the bits
// of all_reduce_sum(matmul(a, b, true)).
struct SummedProductOp final : OpBase<SummedProductOp> {
  SummedProductOp(MatmulOp p, int s) : product(std::move(p)), shards(s) {}
  MatmulOp product;
  int shards;
  bool operator==(const SummedProductOp&) const = default;
  std::string_view name() const override { return "summed_matmul"; }
  std::string attributes() const override { return product.attributes(); }
  std::vector<Type> infer(std::span<const Type> in) const override;
  bool collective(int) const override { return true; }
  Kernel bind(const Binding& b) const override;
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type> out) const override;
  double flops(std::span<const Type> in, std::span<const Type> out) const override;
};

}  // namespace descent
