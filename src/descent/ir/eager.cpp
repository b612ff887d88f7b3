#include "descent/ir/eager.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/base/threads.h"
#include "descent/ir/op.h"

namespace descent {
namespace {

thread_local const EagerOptions* current = nullptr;

int shards_of(const Type& type, const EagerOptions& options) {
  return type.per_shard ? options.shards : 1;
}

// Runs the node's kernel for one shard.
void compute_shard(Node& node, const std::vector<Type>& in_types, const EagerOptions& options,
                   int shard) {
  Binding b(shard, options.shards);
  b.in_types = in_types;
  b.out_types = node.outputs;
  for (int i = 0; i < static_cast<int>(node.inputs.size()); ++i) {
    const Value& v = node.inputs[static_cast<std::size_t>(i)];
    if (v.per_shard() && node.op->collective(i)) {
      for (int s = 0; s < options.shards; ++s) b.in.push_back(v.array(s).raw());
    } else {
      b.in.push_back(v.array(v.per_shard() ? shard : 0).raw());
    }
  }
  b.constant.assign(b.in.size(), false);
  for (auto& out : node.computed) b.out.push_back(out[static_cast<std::size_t>(shard)].raw());
  const auto scratch = allocate(node.op->scratch_bytes(in_types, node.outputs));
  b.scratch = scratch.get();
  const Kernel kernel = node.op->bind(b);
  kernel.run(0, kernel.extent);
}

void check_finite(const Node& node) {
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (!is_floating(node.outputs[i].dtype)) continue;
    for (const auto& array : node.computed[i]) {
      for (std::int64_t k = 0; k < array.size(); ++k) {
        const double x = array.item(k);
        if (std::isfinite(x)) continue;
        throw Error(ErrorKind::diverged,
                    fmt::format("operation {} gave {} at element {} of {}", node.op->name(), x, k,
                                to_string(node.outputs[i])),
                    node.scope.empty() ? "" : "layer " + node.scope,
                    "look at its inputs: a smaller learning rate, gradient clipping or normalised "
                    "features are the usual remedies");
      }
    }
  }
}

}  // namespace

EagerScope::EagerScope(EagerOptions options) : options_(options), outer_(current) {
  prepare_thread();
  current = &options_;
}
EagerScope::~EagerScope() { current = outer_; }
GraphScope::GraphScope() : outer_(current) { current = nullptr; }
GraphScope::~GraphScope() { current = outer_; }
const EagerOptions* current_eager() { return current; }

void compute(Node& node, const EagerOptions& options) {
  if (const auto inlined = node.op->expand(node.inputs)) {
    for (const auto& v : *inlined) {
      std::vector<Array> arrays;
      for (int s = 0; s < shards_of(v.type(), options); ++s) arrays.push_back(v.array(s));
      node.computed.push_back(std::move(arrays));
    }
    return;
  }
  std::vector<Type> in_types;
  int shards = 1;
  for (const auto& v : node.inputs) in_types.push_back(v.type());
  for (const auto& t : node.outputs) {
    shards = std::max(shards, shards_of(t, options));
    std::vector<Array> arrays;
    for (int s = 0; s < shards_of(t, options); ++s) arrays.emplace_back(t.dtype, t.shape);
    node.computed.push_back(std::move(arrays));
  }
  for (int s = 0; s < shards; ++s) compute_shard(node, in_types, options, s);
  if (options.check_finite) check_finite(node);
}

}  // namespace descent
