// A function with a derivative of its own: one node whose body plans expand, and whose vjp is the
// given formula instead of the chain rule through the body.
#include "descent/autodiff/autodiff.h"
#include "descent/ir/op.h"

namespace descent {
namespace {

struct OwnDerivativeOp final : Op {
  Fn body;
  Pullback pullback;
  std::vector<Type> types;  // of the results

  std::string_view name() const override { return "own_derivative"; }
  bool same_as(const Op& other) const override { return this == &other; }
  std::vector<Type> infer(std::span<const Type>) const override { return types; }
  std::optional<Values> expand(ValueSpan in) const override { return body(in); }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan g) const override {
    return pullback(in, out, g);
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return tangents(*expand(in), in, t);
  }
  Kernel bind(const Binding&) const override { fail("is expanded before it runs", {}); }
};

}  // namespace

Values with_derivative(const Fn& f, Pullback pullback, ValueSpan x) {
  auto op = std::make_shared<OwnDerivativeOp>();
  op->body = f;
  op->pullback = std::move(pullback);
  {
    const GraphScope graph;
    Values arguments;
    for (const auto& v : x) arguments.push_back(input(v.type(), "argument"));
    for (const auto& v : f(arguments)) op->types.push_back(v.type());
  }
  return apply_all(std::move(op), Values(x.begin(), x.end()));
}

}  // namespace descent
