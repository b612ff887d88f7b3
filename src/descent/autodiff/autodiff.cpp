#include "descent/autodiff/autodiff.h"

#include <fmt/format.h>

#include <numeric>
#include <unordered_set>

#include "descent/ir/graph.h"
#include "descent/ir/op.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

// Nodes between `inputs` and `outputs`: those that depend on an input.
std::vector<Node*> path(ValueSpan outputs, ValueSpan inputs) {
  std::unordered_set<const Node*> depends;
  for (const auto& v : inputs) depends.insert(v.node());
  std::vector<Node*> nodes;
  for (Node* node : topological(outputs)) {
    if (depends.contains(node)) continue;  // an input: the walk ends there
    for (const auto& v : node->inputs) {
      if (depends.contains(v.node())) {
        depends.insert(node);
        nodes.push_back(node);
        break;
      }
    }
  }
  return nodes;
}

// A (co)tangent of a per-shard value is per shard, of a replicated one replicated: what the shards
// contribute to a replicated value is summed, which is where data parallelism comes from.
Value settle_cotangent(const Value& g, const Value& of) {
  return of.per_shard() ? to_shards(g) : all_reduce_sum(g);
}

class Cotangents {
 public:
  void add(const Value& of, const Value& g) {
    if (!g) return;
    auto [it, fresh] = sums_.try_emplace(of, g);
    if (fresh) return;
    // A replicated part beside a per-shard one counts once, not once a shard.
    const bool mixed = it->second.per_shard() != g.per_shard();
    if (mixed) {
      it->second = settle_cotangent(it->second, of) + settle_cotangent(g, of);
    } else {
      it->second = it->second + g;
    }
  }
  // The whole cotangent of a value, or null.
  Value take(const Value& of) {
    const auto it = sums_.find(of);
    return it == sums_.end() ? Value() : settle_cotangent(it->second, of);
  }

 private:
  ValueMap sums_;
};

std::vector<Type> types_of(ValueSpan values) {
  std::vector<Type> types;
  for (const auto& v : values) types.push_back(v.type());
  return types;
}

Values outputs_of(Node* node) {
  Values all;
  for (int i = 0; i < static_cast<int>(node->outputs.size()); ++i)
    all.emplace_back(node->shared_from_this(), i);
  return all;
}

// Fresh names for the arguments, so that an inner derivative never sees an outer one's variable
// (perturbation confusion).
Values renamed(ValueSpan x) {
  Values result;
  for (const auto& v : x) result.push_back(identity(v));
  return result;
}

std::vector<int> all_of(std::vector<int> argnums, std::size_t n) {
  if (argnums.empty()) {
    argnums.resize(n);
    std::iota(argnums.begin(), argnums.end(), 0);
  }
  return argnums;
}

}  // namespace

Values gradients(ValueSpan outputs, ValueSpan inputs, ValueSpan cotangents) {
  Cotangents sums;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i < cotangents.size() && cotangents[i])
      sums.add(outputs[i], settle_cotangent(cotangents[i], outputs[i]));
  }
  const auto nodes = path(outputs, inputs);
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    Node* node = *it;
    const Values out = outputs_of(node);
    const AtScope scope(node->scope);
    Values g;
    bool any = false;
    for (const auto& v : out) {
      g.push_back(sums.take(v));
      any = any || g.back();
    }
    if (!any) continue;
    const Values in_g = node->op->vjp(node->inputs, out, g);
    for (std::size_t i = 0; i < in_g.size(); ++i) sums.add(node->inputs[i], in_g[i]);
  }
  Values result;
  for (const auto& v : inputs) {
    Value g = sums.take(v);
    result.push_back(g ? g : zeros_like(v));
  }
  return result;
}

Values tangents(ValueSpan outputs, ValueSpan inputs, ValueSpan input_tangents) {
  ValueMap known;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (input_tangents[i]) known.try_emplace(inputs[i], input_tangents[i]);
  }
  auto tangent = [&known](const Value& v) {
    const auto it = known.find(v);
    return it == known.end() ? Value() : it->second;
  };
  for (Node* node : path(outputs, inputs)) {
    Values t;
    bool any = false;
    for (const auto& v : node->inputs) {
      t.push_back(tangent(v));
      any = any || t.back();
    }
    if (!any) continue;
    const Values out = outputs_of(node);
    const AtScope scope(node->scope);
    const Values out_t = node->op->jvp(node->inputs, out, t);
    for (std::size_t i = 0; i < out.size() && i < out_t.size(); ++i) {
      if (out_t[i]) known.try_emplace(out[i], out[i].per_shard() ? to_shards(out_t[i]) : out_t[i]);
    }
  }
  Values result;
  for (const auto& v : outputs) {
    const Value t = tangent(v);
    result.push_back(t ? t : zeros_like(v));
  }
  return result;
}

Fn value_and_grad(ScalarFn f, std::vector<int> argnums) {
  return [f = std::move(f), argnums = std::move(argnums)](ValueSpan x) -> Values {
    const Values inner = renamed(x);
    const Value y = f(inner);
    if (y.shape().size() != 1 || y.per_shard() || !is_floating(y.dtype())) {
      const std::vector<Type> types = types_of(Values{y});
      throw Error(ErrorKind::usage,
                  fmt::format("grad: the function gives {}, not one floating-point number",
                              to_string(types[0])),
                  NameScope::current(),
                  y.per_shard() ? "reduce it over the whole batch with batch_mean() or batch_sum()"
                                : "reduce it with sum() or mean()");
    }
    Values wanted;
    for (const int i : all_of(argnums, x.size()))
      wanted.push_back(inner.at(static_cast<std::size_t>(i)));
    Values result{y};
    for (auto& g : gradients(Values{y}, wanted, Values{ones_like(y)}))
      result.push_back(std::move(g));
    return result;
  };
}

Fn grad(ScalarFn f, std::vector<int> argnums) {
  return [both = value_and_grad(std::move(f), std::move(argnums))](ValueSpan x) -> Values {
    Values result = both(x);
    result.erase(result.begin());
    return result;
  };
}

std::pair<Values, Fn> vjp(const Fn& f, ValueSpan x) {
  const Values inner = renamed(x);
  Values y = f(inner);
  Fn pull = [inner, y](ValueSpan cotangents) -> Values { return gradients(y, inner, cotangents); };
  return {y, std::move(pull)};
}

std::pair<Values, Values> jvp(const Fn& f, ValueSpan x, ValueSpan tangent) {
  const Values inner = renamed(x);
  Values y = f(inner);
  Values t = tangents(y, inner, tangent);
  return {std::move(y), std::move(t)};
}

Values hvp(const ScalarFn& f, ValueSpan x, ValueSpan v) { return jvp(grad(f), x, v).second; }

}  // namespace descent
