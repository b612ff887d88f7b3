#include "tests/onnx/node.h"

namespace descent::onnx_test {

std::vector<std::int64_t> Node::integers_of(int i) const {
  std::vector<std::int64_t> out;
  const Array& array = arrays.at(index(i));
  for (std::int64_t k = 0; k < array.size(); ++k)
    out.push_back(static_cast<std::int64_t>(array.item(k)));
  return out;
}

const onnx::AttributeProto* Node::attribute(const std::string& name) const {
  for (const auto& a : proto.attribute()) {
    if (a.name() == name) return &a;
  }
  return nullptr;
}

std::int64_t Node::integer(const std::string& name, std::int64_t fallback) const {
  const auto* a = attribute(name);
  return a == nullptr ? fallback : a->i();
}

double Node::number(const std::string& name, double fallback) const {
  const auto* a = attribute(name);
  return a == nullptr ? fallback : static_cast<double>(a->f());
}

std::string Node::text(const std::string& name, const std::string& fallback) const {
  const auto* a = attribute(name);
  return a == nullptr ? fallback : a->s();
}

std::vector<std::int64_t> Node::integers(const std::string& name) const {
  const auto* a = attribute(name);
  if (a == nullptr) return {};
  return {a->ints().begin(), a->ints().end()};
}

void Node::require(const std::string& name, std::int64_t value) const {
  if (integer(name, value) != value) throw Uncovered{name};
}

}  // namespace descent::onnx_test
