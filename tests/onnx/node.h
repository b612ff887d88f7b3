// One node of ONNX's node tests as a function of values, and the table of operators that we have.
// https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md is the meaning of each.
#pragma once
#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "descent/ir/value.h"

namespace descent::onnx_test {

// What a case needs and we do not have, or have with another meaning: counted and told.
struct Uncovered {
  std::string reason;
};

struct Node {
  const onnx::NodeProto& proto;
  std::vector<Array> arrays;  // the inputs; an empty one where it is left out
  Values values;              // their placeholders, null where left out

  int inputs() const { return static_cast<int>(arrays.size()); }
  bool has(int i) const { return i < inputs() && static_cast<bool>(arrays[index(i)]); }
  const Value& operator[](int i) const { return values.at(index(i)); }
  std::vector<std::int64_t> integers_of(int i) const;  // an input that says how, not what

  const onnx::AttributeProto* attribute(const std::string& name) const;
  std::int64_t integer(const std::string& name, std::int64_t fallback) const;
  double number(const std::string& name, double fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  // Empty where it is absent.
  std::vector<std::int64_t> integers(const std::string& name) const;
  // An Uncovered where the attribute has another value.
  void require(const std::string& name, std::int64_t value) const;

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
};

// The node's outputs, as many of the first as we have.
using Operator = std::function<Values(const Node&)>;
using Table = std::map<std::string, Operator>;
void add_elementwise(Table& table);
void add_reductions(Table& table);
void add_shapes(Table& table);
void add_layers(Table& table);
void add_images(Table& table);
void add_losses(Table& table);
void add_optimizers(Table& table);

}  // namespace descent::onnx_test
