// Walks over the graph that values hang on.
#pragma once
#include <functional>
#include <ostream>
#include <unordered_map>

#include "descent/ir/value.h"

namespace descent {

// Nodes that `outputs` depend on, inputs before users, otherwise in order of creation.
std::vector<Node*> topological(ValueSpan outputs);

struct ValueHash {
  std::size_t operator()(const Value& v) const {
    return std::hash<const void*>()(v.node()) * 31 + static_cast<std::size_t>(v.index());
  }
};
using ValueMap = std::unordered_map<Value, Value, ValueHash>;

// The same outputs with values replaced: rebuilds every node that depends on a replaced value.
// `replace` is extended with old -> new of all rebuilt values.
Values substitute(ValueSpan outputs, ValueMap& replace);

// One line per node: "%7 = matmul(%3, %5) float32[128, 10]  layer 2".
void print(std::ostream& out, ValueSpan outputs);

}  // namespace descent
