// Elementwise operators: each is one operation of ours, but for the few activations that layers
// make of several.
#include <limits>

#include "descent/nn/layers.h"
#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

using Unary = Value (*)(const Value&);
using Binary = Value (*)(const Value&, const Value&);

Operator unary(Unary f) {
  return [f](const Node& n) { return Values{f(n[0])}; };
}

Operator binary(Binary f) {
  return [f](const Node& n) {
    if (n[0].dtype() != n[1].dtype()) throw Uncovered{"operands of two types"};
    return Values{f(n[0], n[1])};
  };
}

// max(a, b, c) = max(max(a, b), c).
Operator variadic(Binary f, bool mean = false) {
  return [f, mean](const Node& n) {
    Value y = n[0];
    for (int i = 1; i < n.inputs(); ++i) y = f(y, n[i]);
    return Values{mean ? y / static_cast<double>(n.inputs()) : y};
  };
}

// Layers without parameters.
Operator layer(const std::function<nn::Layer(const Node&)>& make) {
  return [make](const Node& n) {
    nn::Scope scope({}, false, {}, n[0].dtype());
    return Values{(*make(n))(scope, n[0])};
  };
}

// NaN in `low` or `high`: none.
Values clip(const Node& n) {
  const auto bound = [&](const char* name, int i, double none) {
    return n.has(i) ? n.arrays[static_cast<std::size_t>(i)].item() : n.number(name, none);
  };
  if (!is_floating(n[0].dtype())) throw Uncovered{"integers"};
  constexpr double inf = std::numeric_limits<double>::infinity();
  return {clamp(n[0], bound("min", 1, -inf), bound("max", 2, inf))};
}

}  // namespace

void add_elementwise(Table& table) {
  const std::pair<const char*, Unary> unaries[] = {
      {"Abs", abs},          {"Acos", acos},
      {"Asin", asin},        {"Atan", atan},
      {"Ceil", ceil},        {"Cos", cos},
      {"Cosh", cosh},        {"Erf", erf},
      {"Exp", exp},          {"Floor", floor},
      {"Log", log},          {"Neg", neg},
      {"Relu", relu},        {"Round", round},
      {"Sign", sign},        {"Sigmoid", sigmoid},
      {"Sin", sin},          {"Sinh", sinh},
      {"Sqrt", sqrt},        {"Softplus", softplus},
      {"Tanh", tanh},        {"Reciprocal", reciprocal},
      {"Identity", identity}};
  for (const auto& [name, f] : unaries) table[name] = unary(f);
  const std::pair<const char*, Binary> binaries[] = {
      {"Add", add},         {"Sub", sub},
      {"Mul", mul},         {"Div", div},
      {"Pow", pow},         {"Equal", equal},
      {"Less", less},       {"LessOrEqual", less_equal},
      {"Greater", greater}, {"GreaterOrEqual", greater_equal}};
  for (const auto& [name, f] : binaries) table[name] = binary(f);
  table["Pow"] = [power = table.at("Pow")](const Node& n) {
    if (!is_floating(n[0].dtype())) throw Uncovered{"integers"};
    return power(n);
  };
  table["Max"] = variadic(maximum);
  table["Min"] = variadic(minimum);
  table["Sum"] = variadic(add);
  table["Mean"] = variadic(add, true);
  table["Clip"] = clip;
  table["Where"] = [](const Node& n) { return Values{where(n[0], n[1], n[2])}; };
  table["PRelu"] = [](const Node& n) {
    return Values{where(less(n[0], zeros_like(n[0])), n[0] * n[1], n[0])};
  };
  table["LeakyRelu"] = layer([](const Node& n) { return nn::leaky_relu(n.number("alpha", 0.01)); });
}

}  // namespace descent::onnx_test
