// The functions that a formula may call, in order of name: one row each.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/ops/ops.h"
#include "descent/optim/expression_program.h"

namespace descent::optim::expression {
namespace {

using Operands = std::span<const Operand>;

template <Value (*f)(const Value&)>
Value of_one(Operands x) {
  return f(as_value(x[0]));
}
template <Value (*f)(const Value&, const Value&)>
Value of_two(Operands x) {
  return f(as_value(x[0]), as_value(x[1]));
}
Value sum_all(const Value& x) { return sum(x); }
Value mean_all(const Value& x) { return mean(x); }
// One operand: the extreme of its elements; several: by elements.
Value largest(Operands x) {
  Value y = as_value(x[0]);
  if (x.size() == 1) return max(y);
  for (const auto& other : x.subspan(1)) y = maximum(y, as_value(other));
  return y;
}
Value smallest(Operands x) {
  Value y = as_value(x[0]);
  if (x.size() == 1) return min(y);
  for (const auto& other : x.subspan(1)) y = minimum(y, as_value(other));
  return y;
}
Value power(Operands x) { return as_value(apply_binary(Code::power, x[0], x[1])); }
Value selected(Operands x) { return where(as_value(x[0]), as_value(x[1]), as_value(x[2])); }
Value clamped(Operands x) {
  return minimum(maximum(as_value(x[0]), as_value(x[1])), as_value(x[2]));
}
// From the side where nothing cancels.
Value asinh(const Value& x) {
  const Value root = sqrt(square(x) + 1.0);
  return select(less_mask(x, 0.0), -log(root - x), log(root + x));
}
Value acosh(const Value& x) { return log(x + sqrt(square(x) - 1.0)); }
Value atanh(const Value& x) { return 0.5 * (log1p(x) - log1p(-x)); }
Value tangent(const Value& x) { return sin(x) / cos(x); }
Value log2(const Value& x) { return log(x) / std::numbers::ln2; }
Value log10(const Value& x) { return log(x) / std::numbers::ln10; }
Value cbrt(const Value& x) { return sign(x) * pow(abs(x), 1.0 / 3.0); }
Value exact_gelu(const Value& x) { return gelu(x); }
// All elements, whatever the rank.
Value log_sum_exp(const Value& x) { return logsumexp(reshape(x, {x.shape().size()})); }
Value soft_max(const Value& x) { return softmax(x); }
Value inner(const Value& a, const Value& b) { return dot(a, b); }
Value outer(const Value& a, const Value& b) {
  return reshape(a, {a.shape().size(), 1}) * reshape(b, {1, b.shape().size()});
}
Value variance(const Value& x) { return mean(square(x - mean(x))); }
Value range(Operands x) { return iota(list_size(x[0]), DType::float64); }
Value linspace(Operands x) {
  const Value from = as_value(x[0]), to = as_value(x[1]);
  const auto n = list_size(x[2]);
  if (n == 1) return reshape(from, {1});
  return from + (to - from) * (iota(n, DType::float64) / static_cast<double>(n - 1));
}
// By halves, so that a long product is a shallow graph.
Value product_of_all(const Value& x) {
  Value y = reshape(x, {x.shape().size()});
  for (auto n = y.shape()[0]; n > 1; n = y.shape()[0]) {
    const Value pairs = slice(y, 0, 0, n / 2) * slice(y, 0, n / 2, n / 2 * 2);
    y = n % 2 == 0 ? pairs : concat({pairs, slice(y, 0, n - 1, n)});
  }
  return reshape(y, {});
}
// Numbers and vectors after each other.
Value joined(Operands x) {
  Values parts;
  for (const auto& operand : x) {
    const Value part = as_value(operand);
    parts.push_back(reshape(part, {part.shape().size()}));
  }
  return concat(parts);
}
Value zero_vector(Operands x) { return filled(x[0], 0); }
Value one_vector(Operands x) { return filled(x[0], 1); }

constexpr Function kFunctions[] = {
    {.name = "abs", .make = of_one<abs>},
    {.name = "acos", .make = of_one<acos>},
    {.name = "acosh", .make = of_one<acosh>},
    {.name = "asin", .make = of_one<asin>},
    {.name = "asinh", .make = of_one<asinh>},
    {.name = "atan", .make = of_one<atan>},
    {.name = "atan2", .least = 2, .most = 2, .make = of_two<atan2>},
    {.name = "atanh", .make = of_one<atanh>},
    {.name = "cbrt", .make = of_one<cbrt>},
    {.name = "ceil", .make = of_one<ceil>},
    {.name = "clamp", .least = 3, .most = 3, .make = clamped},
    {.name = "concat", .most = -1, .make = joined},
    {.name = "cos", .make = of_one<cos>},
    {.name = "cosh", .make = of_one<cosh>},
    {.name = "dot", .least = 2, .most = 2, .make = of_two<inner>},
    {.name = "erf", .make = of_one<erf>},
    {.name = "exp", .make = of_one<exp>},
    {.name = "expm1", .make = of_one<expm1>},
    {.name = "floor", .make = of_one<floor>},
    {.name = "gelu", .make = of_one<exact_gelu>},
    {.name = "linspace", .least = 3, .most = 3, .make = linspace},
    {.name = "ln", .make = of_one<log>},
    {.name = "log", .make = of_one<log>},
    {.name = "log10", .make = of_one<log10>},
    {.name = "log1p", .make = of_one<log1p>},
    {.name = "log2", .make = of_one<log2>},
    {.name = "logsumexp", .make = of_one<log_sum_exp>},
    {.name = "max", .most = -1, .make = largest},
    {.name = "mean", .make = of_one<mean_all>},
    {.name = "min", .most = -1, .make = smallest},
    {.name = "norm", .make = of_one<norm>},
    {.name = "ones", .make = one_vector},
    {.name = "outer", .least = 2, .most = 2, .make = of_two<outer>},
    {.name = "pow", .least = 2, .most = 2, .make = power},
    {.name = "prod", .make = of_one<product_of_all>},
    {.name = "range", .make = range},
    {.name = "relu", .make = of_one<relu>},
    {.name = "round", .make = of_one<round>},
    {.name = "sigmoid", .make = of_one<sigmoid>},
    {.name = "sign", .make = of_one<sign>},
    {.name = "silu", .make = of_one<silu>},
    {.name = "sin", .make = of_one<sin>},
    {.name = "sinh", .make = of_one<sinh>},
    {.name = "softmax", .make = of_one<soft_max>},
    {.name = "softplus", .make = of_one<softplus>},
    {.name = "sqrt", .make = of_one<sqrt>},
    {.name = "square", .make = of_one<square>},
    {.name = "sum", .make = of_one<sum_all>},
    {.name = "tan", .make = of_one<tangent>},
    {.name = "tanh", .make = of_one<tanh>},
    {.name = "transpose", .make = of_one<transposed>},
    {.name = "var", .make = of_one<variance>},
    {.name = "where", .least = 3, .most = 3, .make = selected},
    {.name = "zeros", .make = zero_vector},
};
static_assert(std::ranges::is_sorted(kFunctions, {}, &Function::name));

}  // namespace

std::span<const Function> function_table() { return kFunctions; }

int find_function(std::string_view name) {
  const auto it = std::ranges::lower_bound(kFunctions, name, {}, &Function::name);
  if (it == std::end(kFunctions) || it->name != name) return -1;
  return static_cast<int>(it - std::begin(kFunctions));
}

}  // namespace descent::optim::expression
