// Walks over the graph that values hang on.
#pragma once
#include <functional>
#include <optional>
#include <ostream>
#include <unordered_map>

#include "descent/ir/value.h"

namespace descent {

// Nodes that `outputs` depend on, inputs before users, otherwise in order of creation.
std::vector<Node*> topological(ValueSpan outputs);

// How often each node's values are read, by other nodes or as outputs.
using Readers = std::unordered_map<const Node*, int>;
Readers count_readers(ValueSpan outputs);

// Types of a node's operands.
std::vector<Type> input_types(const Node& node);

struct ValueHash {
  std::size_t operator()(const Value& v) const {
    return std::hash<const void*>()(v.node()) * 31 + static_cast<std::size_t>(v.index());
  }
};
using ValueMap = std::unordered_map<Value, Value, ValueHash>;

// Rebuilds the graph in order: `rule` gets an old node and its new inputs and returns the new
// outputs, or nothing to keep the operation. `replace` may begin with values that stand for others.
using Rule = std::function<std::optional<Values>(const Node& node, const Values& inputs)>;
Values rewrite(ValueSpan outputs, const Rule& rule, ValueMap replace = {});

// The same outputs with values replaced: rebuilds every node that depends on a replaced value.
Values substitute(ValueSpan outputs, const ValueMap& replace);

// One line per node: "%7 = matmul(%3, %5) float32[128, 10]  layer 2".
void print(std::ostream& out, ValueSpan outputs);

}  // namespace descent
