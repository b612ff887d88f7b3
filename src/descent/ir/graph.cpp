#include "descent/ir/graph.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "descent/ir/op.h"

namespace descent {

std::vector<Node*> topological(ValueSpan outputs) {
  std::vector<Node*> found, stack;
  std::unordered_set<Node*> seen;
  for (const auto& v : outputs) {
    if (v && seen.insert(v.node()).second) stack.push_back(v.node());
  }
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    found.push_back(node);
    for (const auto& v : node->inputs) {
      if (seen.insert(v.node()).second) stack.push_back(v.node());
    }
  }
  // Inputs exist before their users do, so the order of creation is a topological one.
  std::sort(found.begin(), found.end(), [](const Node* a, const Node* b) { return a->id < b->id; });
  return found;
}

Readers count_readers(ValueSpan outputs) {
  Readers readers;
  for (const auto& v : outputs) ++readers[v.node()];
  for (const Node* node : topological(outputs)) {
    for (const auto& v : node->inputs) ++readers[v.node()];
  }
  return readers;
}

std::vector<Type> input_types(const Node& node) {
  std::vector<Type> types;
  for (const auto& v : node.inputs) types.push_back(v.type());
  return types;
}

Values rewrite(ValueSpan outputs, const Rule& rule, ValueMap replace) {
  const auto mapped = [&replace](const Value& v) {
    const auto it = replace.find(v);
    return it == replace.end() ? v : it->second;
  };
  for (Node* node : topological(outputs)) {
    bool changed = false;
    Values inputs;
    for (const auto& v : node->inputs) {
      inputs.push_back(mapped(v));
      changed = changed || !(inputs.back() == v);
    }
    const AtScope scope(node->scope);
    std::optional<Values> result = rule(*node, inputs);
    if (!result && !changed) continue;
    if (!result) result = apply_all(node->op, std::move(inputs));
    for (std::size_t i = 0; i < result->size(); ++i) {
      replace.try_emplace(Value(node->shared_from_this(), static_cast<int>(i)), (*result)[i]);
    }
  }
  Values result;
  for (const auto& v : outputs) result.push_back(v ? mapped(v) : v);
  return result;
}

Values substitute(ValueSpan outputs, const ValueMap& replace) {
  return rewrite(
      outputs, [](const Node&, const Values&) { return std::nullopt; }, replace);
}

void print(std::ostream& out, ValueSpan outputs) {
  for (const Node* node : topological(outputs)) {
    std::vector<std::string> operands, types;
    for (const auto& v : node->inputs) {
      operands.push_back(v.index() == 0 ? fmt::format("%{}", v.node()->id)
                                        : fmt::format("%{}.{}", v.node()->id, v.index()));
    }
    for (const auto& t : node->outputs) types.push_back(to_string(t));
    const auto attributes = node->op->attributes();
    fmt::print(out, "%{} = {}({}{}{}) {}{}{}\n", node->id, node->op->name(),
               fmt::join(operands, ", "), attributes.empty() ? "" : "; ", attributes,
               fmt::join(types, ", "), node->scope.empty() ? "" : "  # ", node->scope);
  }
}

}  // namespace descent
