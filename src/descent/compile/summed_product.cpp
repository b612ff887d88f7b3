#include "descent/compile/summed_product.h"

#include <algorithm>

#include "descent/compile/passes.h"
#include "descent/ir/graph.h"
#include "descent/kernels/dense_product.h"

namespace descent {

std::vector<Type> SummedProductOp::infer(std::span<const Type> in) const {
  auto types = product.infer(in);
  types[0].per_shard = false;
  return types;
}

Kernel SummedProductOp::bind(const Binding& b) const {
  const auto parts = b.in.size() / 2;
  const auto operands = [&b, parts](std::size_t first) {
    std::vector<const float*> all;
    for (std::size_t p = 0; p < parts; ++p)
      all.push_back(reinterpret_cast<const float*>(b.in[first + p]));
    return all;
  };
  const kernels::SummedProduct sum(product.shape(b.in_types), static_cast<int>(parts));
  return {sum.bind(operands(0), operands(parts), reinterpret_cast<float*>(b.out[0]),
                   reinterpret_cast<float*>(b.scratch)),
          sum.extent()};
}

std::size_t SummedProductOp::scratch_bytes(std::span<const Type> in, std::span<const Type>) const {
  return kernels::SummedProduct(product.shape(in), shards).scratch_bytes();
}

double SummedProductOp::flops(std::span<const Type> in, std::span<const Type> out) const {
  return shards * product.flops(in, out);
}

namespace {

// The product that `sum` adds up, where nobody else reads it and the kernel gains.
const MatmulOp* summed(const Node& sum, const Readers& readers) {
  if (sum.op->name() != "all_reduce_sum") return nullptr;
  const Node& node = *sum.inputs[0].node();
  const auto* product = dynamic_cast<const MatmulOp*>(node.op.get());
  if (product == nullptr || readers.at(&node) != 1) return nullptr;
  if (!node.inputs[0].per_shard() || !node.inputs[1].per_shard()) return nullptr;
  return kernels::SummedProduct::suits(product->shape(input_types(node))) ? product : nullptr;
}

}  // namespace

Values sum_products(const Values& outputs, const PassContext& context) {
  if (context.shards == 1) return outputs;
  const auto readers = count_readers(outputs);
  const auto order = topological(outputs);
  const bool any = std::ranges::any_of(
      order, [&](const Node* node) { return summed(*node, readers) != nullptr; });
  if (!any) return outputs;
  // All nodes anew: what was not rebuilt would come before what was, and fusion goes by that order.
  return rewrite(outputs, [&](const Node& node, const Values& in) -> std::optional<Values> {
    if (in.empty()) return std::nullopt;
    const MatmulOp* product = summed(node, readers);
    if (product == nullptr) return apply_all(node.op, in);
    const AtScope scope(node.inputs[0].node()->scope);  // the layer's, for the profile
    return Values{apply(SummedProductOp(*product, context.shards), in[0].node()->inputs)};
  });
}

}  // namespace descent
