#include "descent/autodiff/recurrent.h"

#include <fmt/format.h>

#include "descent/autodiff/autodiff.h"
#include "descent/autodiff/recurrent_ops.h"
#include "descent/ops/ops.h"

namespace descent {

std::string RecurrentParameters::attributes() const {
  std::string text = cell == Cell::lstm       ? "lstm"
                     : cell == Cell::gru      ? "gru"
                     : reset_before()         ? "gru, reset before"
                     : cell == Cell::rnn_relu ? "relu"
                                              : "tanh";
  if (reverse) text += ", reverse";
  if (truncate > 0) text += fmt::format(", truncate {}", truncate);
  if (operands != DType::float32) text += fmt::format(", {} operands", name_of(operands));
  return text;
}

kernels::RecurrentShape RecurrentParameters::shape(const Type& inputs, const Type& weight) const {
  return {cell,    inputs.shape[0], inputs.shape[1], weight.shape[1],
          reverse, truncate,        inputs.dtype,    operands};
}

namespace {

// Derivatives by differentiating the reference, whose results are the operation's own.
template <class Reference>
Values reference_vjp(Reference reference, const RecurrentParameters& p, ValueSpan in,
                     ValueSpan cotangent) {
  Values inner;
  for (const auto& v : in) inner.push_back(is_floating(v.dtype()) ? identity(v) : v);
  Values g = gradients(reference(p, inner), inner, cotangent);
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (!is_floating(in[i].dtype())) g[i] = {};
  }
  return g;
}
template <class Reference>
Values reference_jvp(Reference reference, const RecurrentParameters& p, ValueSpan in,
                     ValueSpan tangent) {
  Values inner;
  for (const auto& v : in) inner.push_back(is_floating(v.dtype()) ? identity(v) : v);
  return tangents(reference(p, inner), inner, tangent);
}

double product_flops(const kernels::RecurrentShape& s) {
  return 2.0 * static_cast<double>(s.steps * s.rows * s.gates() * s.units * s.units);
}

// The weights that are packed once a call.
int packed(const RecurrentParameters& p) { return p.reset_before() ? 2 : 1; }

struct RecurrentGradientOp final : OpBase<RecurrentGradientOp> {
  explicit RecurrentGradientOp(RecurrentParameters q) : p(q) {}
  RecurrentParameters p;
  bool operator==(const RecurrentGradientOp&) const = default;
  std::string_view name() const override { return "recurrent_gradient"; }
  std::string attributes() const override { return p.attributes(); }

  kernels::RecurrentShape shape(std::span<const Type> in) const {
    const auto s = backward_slots(p, in);
    return p.shape(s.dh, s.weight);
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    const auto s = shape(in);
    const bool per_shard = any_per_shard(in);
    const Type inputs{in[0].dtype, {s.steps, s.rows, s.gates() * s.units}, per_shard};
    const Type state{in[0].dtype, {s.rows, s.units}, per_shard};
    std::vector<Type> out{inputs};
    if (p.gru()) out.push_back(inputs);
    if (p.initial) out.push_back(state);
    if (p.initial && p.lstm()) out.push_back(state);
    return out;
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return reference_vjp(&recurrent_gradient_reference, p, in, g);
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return reference_jvp(&recurrent_gradient_reference, p, in, t);
  }
  Kernel bind(const Binding& b) const override {
    const auto in = backward_slots(p, b.in);
    kernels::RecurrentBackward m{in.dh,   in.dc,    in.weight,
                                 in.h,    in.gates, in.extra,
                                 in.h0,   in.c0,    reinterpret_cast<const bool*>(in.mask),
                                 b.out[0]};
    std::size_t next = 1;
    if (p.gru()) m.d_products = b.out[next++];
    if (p.initial) m.dh0 = b.out[next++];
    if (p.initial && p.lstm()) m.dc0 = b.out[next];
    return whole(kernels::bind_recurrent(shape(b.in_types), m, b.scratch));
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::recurrent_backward_scratch(shape(in));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return product_flops(shape(in));
  }
  int copies(std::span<const Type>, std::span<const Type>) const override { return packed(p); }
};

struct RecurrentOp final : OpBase<RecurrentOp> {
  explicit RecurrentOp(RecurrentParameters q) : p(q) {}
  RecurrentParameters p;
  bool operator==(const RecurrentOp&) const = default;
  std::string_view name() const override { return "recurrent"; }
  std::string attributes() const override { return p.attributes(); }

  std::vector<Type> infer(std::span<const Type> in) const override {
    const auto s = forward_slots(p, in);
    const Type &a = s.inputs, &w = s.weight;
    if (a.shape.rank() != 3 || a.shape[0] < 1) fail("wants [steps, rows, features]", in);
    if (a.dtype != DType::float32 && a.dtype != DType::float64)
      fail("wants float32 or float64", in, "cast() it");
    const std::int64_t units = w.shape.rank() == 2 ? w.shape[1] : 0;
    const auto shape = p.shape(a, w);
    if (units < 1 || w.shape[0] != shape.gates() * units) {
      fail(fmt::format("weight_hh of {} gates wants [{} units, units]", shape.gates(),
                       shape.gates()),
           in);
    }
    if (a.shape[2] != w.shape[0]) fail("weight_ih and weight_hh have different units", in);
    for (const Type* b : {&s.bias_ih, &s.bias_hh}) {
      if (!(b->shape == Shape{w.shape[0]})) fail("a bias wants one number for each gate", in);
    }
    const Shape state{a.shape[1], units};
    if (p.initial && !(s.h0.shape == state && (!p.lstm() || s.c0.shape == state)))
      fail(fmt::format("the initial state wants {}", to_string(state)), in);
    if (p.masked && (s.mask.dtype != DType::boolean || s.mask.shape.rank() != 2 ||
                     s.mask.shape[0] != a.shape[0] || s.mask.shape[1] != a.shape[1]))
      fail("the mask wants bool [steps, rows]", in);
    for (const Type& t : in) {
      if (is_floating(t.dtype) && t.dtype != a.dtype)
        fail("the types of the operands differ", in, "cast() one of them");
    }
    const bool per_shard = any_per_shard(in);
    const Type h{a.dtype, {a.shape[0], a.shape[1], units}, per_shard};
    if (!p.gated()) return {h};
    return {h, {a.dtype, a.shape, per_shard}, h};
  }

  Values vjp(ValueSpan in, ValueSpan out, ValueSpan g) const override;
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return reference_jvp(&recurrent_reference, p, in, t);
  }
  Kernel bind(const Binding& b) const override {
    const auto in = forward_slots(p, b.in);
    const kernels::RecurrentForward m{in.inputs,
                                      in.weight,
                                      in.bias_ih,
                                      in.bias_hh,
                                      in.h0,
                                      in.c0,
                                      reinterpret_cast<const bool*>(in.mask),
                                      b.out[0],
                                      p.gated() ? b.out[1] : nullptr,
                                      p.gated() ? b.out[2] : nullptr};
    return whole(kernels::bind_recurrent(shape(b.in_types), m, b.scratch));
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::recurrent_forward_scratch(shape(in));
  }
  // The gates are written over the inputs' products, after they are read.
  bool in_place(int input, int output) const override { return input == 0 && output == 1; }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return product_flops(shape(in));
  }
  int copies(std::span<const Type>, std::span<const Type>) const override { return packed(p); }

 private:
  kernels::RecurrentShape shape(std::span<const Type> in) const { return p.shape(in[0], in[1]); }
};

// In mixed precision the operands are rounded; sums are float32.
Value product(DType operands, const Value& a, const Value& b, bool transpose_a, bool transpose_b) {
  if (operands != DType::bfloat16) return matmul(a, b, transpose_a, transpose_b);
  return cast(matmul(cast(a, operands), cast(b, operands), transpose_a, transpose_b), a.dtype());
}

// sum over t of dp_t^T h_(t-1), in one product over the steps that have a state before them.
Value weight_gradient(const RecurrentParameters& p, const Value& dp, const Value& h,
                      const Value& h0, const Shape& weight) {
  const std::int64_t steps = h.shape()[0];
  const auto rows = [](const Value& x, std::int64_t begin, std::int64_t end) {
    return reshape(slice(x, 0, begin, end), {-1, x.shape()[2]});
  };
  const std::int64_t late = p.reverse ? 0 : 1, early = 1 - late;
  Value total;
  if (steps > 1) {
    total = product(p.operands, rows(dp, late, steps - early), rows(h, early, steps - late), true,
                    false);
  }
  if (h0) {
    const std::int64_t first = p.reverse ? steps - 1 : 0;
    const Value part = product(p.operands, dp[first], h0, true, false);
    total = total ? total + part : part;
  }
  return total ? total : zeros({h.dtype(), weight, false});
}

// The rows of n had r h' as their operand, of which there is one for every step.
Value reset_before_weight_gradient(const RecurrentParameters& p, const Value& dp, const Value& h,
                                   const Value& reset, const Value& h0) {
  const std::int64_t units = h.shape()[2];
  const Value rz = weight_gradient(p, slice(dp, 2, 0, 2 * units), h, h0, {2 * units, units});
  const Value n = product(p.operands, reshape(slice(dp, 2, 2 * units, 3 * units), {-1, units}),
                          reshape(reset, {-1, units}), true, false);
  return concat({rz, n}, 0);
}

Values RecurrentOp::vjp(ValueSpan in, ValueSpan out, ValueSpan g) const {
  if (p.gated() && (g[1] || (!p.lstm() && g[2])))
    return reference_vjp(&recurrent_reference, p, in, g);  // of a derivative
  const auto s = forward_slots(p, in);
  RecurrentParameters q = p;
  q.cell_gradient = p.lstm() && g[2];
  Values given{g[0] ? g[0] : zeros_like(out[0])};
  if (q.cell_gradient) given.push_back(g[2]);
  given.push_back(s.weight);
  given.insert(given.end(), out.begin(), out.end());
  for (const Value* v : {&s.h0, &s.c0, &s.mask}) {
    if (*v) given.push_back(*v);
  }
  const Values d = apply_all(std::make_shared<const RecurrentGradientOp>(q), std::move(given));
  const Value& dp = d[p.gru() ? 1 : 0];
  const Value bias = sum(d[0], {0, 1});
  Values result{d[0],
                p.reset_before() ? reset_before_weight_gradient(p, dp, out[0], out[2], s.h0)
                                 : weight_gradient(p, dp, out[0], s.h0, s.weight.shape()),
                bias, p.gru() ? sum(dp, {0, 1}) : bias};
  for (std::size_t i = p.gru() ? 2 : 1; i < d.size(); ++i) result.push_back(d[i]);
  if (p.masked) result.emplace_back();
  return result;
}

// x W^T. Rows looked up in a table that has fewer are looked up in the table's product instead.
Value input_product(DType operands, const Value& x, const Value& weight) {
  if (x.node()->op->name() == "gather") {
    const Value &table = x.node()->inputs[0], &index = x.node()->inputs[1];
    if (table.rank() == 2 && table.shape()[0] < index.shape().size())
      return gather(product(operands, table, weight, false, true), index);
  }
  return product(operands, x, weight, false, true);
}

}  // namespace

RecurrentResult recurrent(Cell cell, const Value& x, const RecurrentWeights& weights,
                          const RecurrentState& initial, const Value& mask,
                          const RecurrentOptions& options) {
  const bool lstm = cell == Cell::lstm, begun = initial.h || initial.c;
  const RecurrentParameters p{cell,  options.reverse, options.truncate, options.operands,
                              begun, bool(mask)};
  const Value inputs = input_product(options.operands, x, weights.weight_ih);
  const auto or_zeros = [&](const Value& v, Shape shape, bool per_shard) {
    return v ? v : zeros({x.dtype(), std::move(shape), per_shard});
  };
  const Shape bias{weights.weight_hh.shape()[0]};
  Values in{inputs, weights.weight_hh, or_zeros(weights.bias_ih, bias, false),
            or_zeros(weights.bias_hh, bias, false)};
  const Shape state{x.shape()[1], weights.weight_hh.shape()[1]};
  if (begun) in.push_back(or_zeros(initial.h, state, x.per_shard()));
  if (begun && lstm) in.push_back(or_zeros(initial.c, state, x.per_shard()));
  if (mask) in.push_back(mask);
  // For one step, packing the weight would cost more than the product.
  const bool one_step = x.shape()[0] == 1 && begun;
  const Values out = one_step ? recurrent_reference(p, in)
                              : apply_all(std::make_shared<const RecurrentOp>(p), std::move(in));
  const std::int64_t last = options.reverse ? 0 : x.shape()[0] - 1;
  RecurrentResult result{out[0], {out[0][last], lstm ? out[2][last] : Value()}};
  if (mask) result.output = where(expand_dims(mask, 2), out[0], scalar(0, x.dtype()));
  return result;
}

}  // namespace descent
