#include "descent/ir/value.h"

#include <fmt/format.h>

#include <atomic>

#include "descent/ir/eager.h"
#include "descent/ir/op.h"

namespace descent {
namespace {

thread_local std::string current_scope;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

std::string to_string(const Type& type) {
  return fmt::format("{}{}{}", name_of(type.dtype), to_string(type.shape),
                     type.per_shard ? " per shard" : "");
}

const Type& Value::type() const { return node_->outputs[static_cast<std::size_t>(index_)]; }

const Array& Value::array(int shard) const {
  if (const auto* c = dynamic_cast<const ConstantOp*>(node_->op.get())) return c->array;
  if (node_->computed.empty()) {
    throw Error(ErrorKind::usage, "the value has not been computed", node_->scope,
                "compile the function and run its plan, or build the value inside an EagerScope");
  }
  return node_->computed[static_cast<std::size_t>(index_)][static_cast<std::size_t>(shard)];
}

// A long chain of nodes is taken apart in a loop: recursion would overflow the stack.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> last;
  auto release = [&last](Values& held) {
    for (auto& v : held) {
      auto node = v.shared_node();
      v = {};
      if (node.use_count() == 1) last.push_back(std::move(node));
    }
    held.clear();
  };
  release(inputs);
  while (!last.empty()) {
    auto node = std::move(last.back());
    last.pop_back();
    release(node->inputs);
  }
}

Values apply_all(std::shared_ptr<const Op> op, Values inputs) {
  std::vector<Type> types;
  types.reserve(inputs.size());
  for (const auto& v : inputs) {
    if (!v)
      throw Error(ErrorKind::internal, fmt::format("{}: an operand is null", op->name()),
                  current_scope);
    types.push_back(v.type());
  }
  auto node = std::make_shared<Node>();
  try {
    node->outputs = op->infer(types);
  } catch (const Error& error) {
    if (current_scope.empty()) throw;
    throw error.at("layer " + current_scope);
  }
  node->op = std::move(op);
  node->inputs = std::move(inputs);
  node->scope = current_scope;
  node->id = next_id();
  if (const auto* eager = current_eager()) compute(*node, *eager);
  Values outputs;
  for (int i = 0; i < static_cast<int>(node->outputs.size()); ++i) outputs.emplace_back(node, i);
  return outputs;
}

Value apply(std::shared_ptr<const Op> op, Values inputs) {
  return apply_all(std::move(op), std::move(inputs))[0];
}

Value input(Type type, std::string name) {
  auto node = std::make_shared<Node>();
  node->outputs = {type};
  node->op = std::make_shared<InputOp>(std::move(type), std::move(name));
  node->scope = current_scope;
  node->id = next_id();
  return {node, 0};
}

Value constant(Array array) {
  auto node = std::make_shared<Node>();
  node->outputs = {Type{array.dtype(), array.shape(), false}};
  node->op = std::make_shared<ConstantOp>(std::move(array));
  node->scope = current_scope;
  node->id = next_id();
  return {node, 0};
}

Value scalar(double value, DType dtype) {
  Array a(dtype, {});
  a.set_item(0, value);
  return constant(std::move(a));
}

Value computed(std::vector<Array> shards, bool per_shard) {
  auto v = input({shards[0].dtype(), shards[0].shape(), per_shard}, "computed");
  v.node()->computed = {std::move(shards)};
  return v;
}

NameScope::NameScope(const std::string& name) : before_(current_scope.size()) {
  if (!current_scope.empty()) current_scope += '.';
  current_scope += name;
}
NameScope::~NameScope() { current_scope.resize(before_); }
const std::string& NameScope::current() { return current_scope; }

AtScope::AtScope(std::string path) : before_(std::move(current_scope)) {
  current_scope = std::move(path);
}
AtScope::~AtScope() { current_scope = std::move(before_); }

}  // namespace descent
