// Rematerialisation: a function becomes one node that keeps only its inputs. Plans expand it; its
// derivative computes it again behind a barrier, so that the second computation is not merged with
// the first and its intermediates live only as long as the backward pass needs them.
#include <algorithm>
#include <unordered_set>

#include "descent/autodiff/autodiff.h"
#include "descent/ir/eager.h"
#include "descent/ir/graph.h"
#include "descent/ir/op.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

struct CheckpointOp final : Op {
  Values inputs, outputs;  // of the traced body: placeholders and results

  std::string_view name() const override { return "checkpoint"; }
  bool same_as(const Op& other) const override { return this == &other; }
  std::vector<Type> infer(std::span<const Type>) const override {
    std::vector<Type> types;
    for (const auto& v : outputs) types.push_back(v.type());
    return types;
  }
  std::optional<Values> expand(ValueSpan in) const override {
    ValueMap replace;
    for (std::size_t i = 0; i < in.size(); ++i) replace.try_emplace(inputs[i], in[i]);
    return substitute(outputs, replace);
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    Values given;
    for (const auto& v : g) {
      if (v) given.push_back(v);
    }
    const Values again = barrier(Values(in.begin(), in.end()), given);
    return gradients(*expand(again), again, g);
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return tangents(*expand(in), in, t);
  }
  Kernel bind(const Binding&) const override { fail("is expanded before it runs", {}); }
};

}  // namespace

Fn checkpoint(Fn f) {
  return [f = std::move(f)](ValueSpan x) -> Values {
    if (current_eager() != nullptr) return f(x);  // everything is kept anyway, for inspection
    auto op = std::make_shared<CheckpointOp>();
    Values arguments(x.begin(), x.end());
    for (const auto& v : x) op->inputs.push_back(input(v.type(), "checkpoint"));
    op->outputs = f(op->inputs);
    // What the function uses from outside (parameters that it captured) becomes an input too, so
    // that gradients reach it.
    std::unordered_set<const Node*> inner;
    for (const auto& v : op->inputs) inner.insert(v.node());
    ValueMap captured;
    for (Node* node : topological(op->outputs)) {
      const bool depends = std::any_of(node->inputs.begin(), node->inputs.end(),
                                       [&](const Value& v) { return inner.contains(v.node()); });
      if (!depends) continue;
      inner.insert(node);
      for (const auto& v : node->inputs) {
        if (inner.contains(v.node()) || constant_scalar(v) || captured.contains(v)) continue;
        const Value placeholder = input(v.type(), "captured");
        captured.try_emplace(v, placeholder);
        op->inputs.push_back(placeholder);
        arguments.push_back(v);
      }
    }
    op->outputs = substitute(op->outputs, captured);
    return apply_all(std::move(op), std::move(arguments));
  };
}

}  // namespace descent
