#include "descent/ops/eltwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/kernels/tile_program.h"
#include "descent/ops/layout.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

using kernels::Eltwise;

// d(row)/d(operand i) applied to g, which is the tangent of the operand or the cotangent of y: an
// elementwise derivative is diagonal, so both modes use one expression. Null: zero.
Value derivative(Eltwise code, int i, ValueSpan in, const Value& y, const Value& g) {
  const Value zero;
  const Value& x = in[0];
  const Value& m = in[0];
  const Value& a = in[in.size() == 3 ? 1 : 0];
  const Value& b = in.back();
  (void)x, (void)m, (void)a, (void)b, (void)y;
  switch (code) {
#define ELTWISE1(name, kernel, dx) \
  case Eltwise::name:              \
    return dx;
#define NUMERIC1(name, kernel, dx) ELTWISE1(name, kernel, dx)
#define ELTWISE2(name, kernel, da, db) \
  case Eltwise::name:                  \
    return i == 0 ? (da) : (db);
#define NUMERIC2(name, kernel, da, db) ELTWISE2(name, kernel, da, db)
#define NUMERIC3(name, kernel, dm, da, db) \
  case Eltwise::name:                      \
    return i == 0 ? (dm) : i == 1 ? (da) : (db);
#include "descent/kernels/eltwise_table.h"
    case Eltwise::count:
      break;
  }
  return zero;
}

kernels::TileProgram program(Eltwise code, std::span<const Type> in, const Type& out) {
  std::vector<kernels::TileProgram::Input> inputs;
  kernels::TileProgram::Instruction instruction{.code = code, .dtype = out.dtype};
  for (std::size_t i = 0; i < in.size(); ++i) {
    inputs.push_back({in[i].dtype, in[i].shape});
    instruction.in[i] = static_cast<int>(i);
  }
  return {out.shape, inputs, {instruction}, {static_cast<int>(in.size())}};
}

Value mask(Eltwise code, const Value& a, const Value& b) {
  return cast(apply(EltwiseOp(code), {a, b}), DType::boolean);
}

}  // namespace

std::vector<Type> EltwiseOp::infer(std::span<const Type> in) const {
  Type out = in[0];
  for (const auto& t : in) {
    if (t.dtype != in[0].dtype) fail("the types of the operands differ", in, "cast() one of them");
    const auto shape = broadcast(out.shape, t.shape);
    if (!shape)
      fail("the shapes do not broadcast", in,
           "extents must be equal, or 1, counted from the right");
    out.shape = *shape;
  }
  if (kernels::eltwise_kernel(code, out.dtype) == nullptr) {
    fail(fmt::format("not defined for {}", name_of(out.dtype)), in, "cast() to float32 first");
  }
  out.per_shard = any_per_shard(in);
  return {out};
}

Values EltwiseOp::vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const {
  Values result(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Value d = derivative(code, static_cast<int>(i), in, out[0], cotangent[0]);
    if (d) result[i] = sum_to(d, in[i].shape());
  }
  return result;
}

Values EltwiseOp::jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const {
  Value total;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!tangent[i]) continue;
    const Value d = derivative(code, static_cast<int>(i), in, out[0], tangent[i]);
    if (d) total = total ? total + d : d;
  }
  return {total ? broadcast_to(total, out[0].shape()) : total};
}

std::optional<Values> EltwiseOp::channels_last(ValueSpan in) const {
  if (std::none_of(in.begin(), in.end(), is_last)) return std::nullopt;
  if (std::any_of(in.begin(), in.end(), [](const Value& v) { return v.rank() > 4; }))
    return std::nullopt;
  Values turned;
  for (const auto& v : in) turned.push_back(stretched_last(v));
  return Values{to_first(apply(*this, std::move(turned)))};
}

std::optional<Values> CastOp::channels_last(ValueSpan in) const {
  if (!is_last(in[0])) return std::nullopt;
  return Values{to_first(apply(*this, {to_last(in[0])}))};
}

std::size_t EltwiseOp::scratch_bytes(std::span<const Type> in, std::span<const Type> out) const {
  return program(code, in, out[0]).scratch_bytes();
}

Kernel EltwiseOp::bind(const Binding& b) const {
  const auto size = b.out_types[0].shape.size();
  bool dense = true;
  for (const auto& t : b.in_types) dense = dense && t.shape == b.out_types[0].shape;
  if (dense) {
    const auto f = kernels::eltwise_kernel(code, b.out_types[0].dtype);
    const auto* p = b.in[0];
    const auto* q = b.in.size() > 1 ? b.in[1] : nullptr;
    const auto* r = b.in.size() > 2 ? b.in[2] : nullptr;
    return whole([f, p, q, r, o = b.out[0], size] { f(p, q, r, o, size); });
  }
  return whole([p = program(code, b.in_types, b.out_types[0]), in = b.in, out = b.out,
                scratch = b.scratch, size] {
    const void* inputs[3] = {};
    for (std::size_t i = 0; i < in.size(); ++i) inputs[i] = in[i];
    void* outputs[1] = {out[0]};
    p.run(inputs, outputs, scratch, 0, size);
  });
}

Values CastOp::vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const {
  // The cotangent of a bfloat16 value is kept in float32: rounding it would cost the gradient
  // digits.
  const DType from = in[0].dtype();
  if (!is_floating(from) || !is_floating(to)) return {Value()};
  return {from == DType::bfloat16 ? cotangent[0] : descent::cast(cotangent[0], from)};
}

Values CastOp::jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const {
  if (!is_floating(in[0].dtype()) || !is_floating(to)) return {Value()};
  return {descent::cast(tangent[0], to)};
}

Kernel CastOp::bind(const Binding& b) const {
  const auto f = kernels::cast_kernel(b.in_types[0].dtype, to);
  return whole(
      [f, in = b.in[0], out = b.out[0], n = b.out_types[0].shape.size()] { f(in, out, n); });
}

#define ELTWISE1(name, kernel, dx) \
  Value name(const Value& x) { return apply(EltwiseOp(Eltwise::name), {x}); }
#define NUMERIC1(name, kernel, dx) ELTWISE1(name, kernel, dx)
#define ELTWISE2(name, kernel, da, db)                                                           \
  Value name(const Value& a, const Value& b) { return apply(EltwiseOp(Eltwise::name), {a, b}); } \
  Value name(const Value& a, double b) { return name(a, scalar(b, a.dtype())); }                 \
  Value name(double a, const Value& b) { return name(scalar(a, b.dtype()), b); }
#define NUMERIC2(name, kernel, da, db) ELTWISE2(name, kernel, da, db)
#define NUMERIC3(name, kernel, dm, da, db)                     \
  Value name(const Value& m, const Value& a, const Value& b) { \
    return apply(EltwiseOp(Eltwise::name), {m, a, b});         \
  }
#include "descent/kernels/eltwise_table.h"

Value less(const Value& a, const Value& b) { return mask(Eltwise::less_mask, a, b); }
Value less_equal(const Value& a, const Value& b) { return mask(Eltwise::less_equal_mask, a, b); }
Value greater(const Value& a, const Value& b) { return mask(Eltwise::greater_mask, a, b); }
Value greater_equal(const Value& a, const Value& b) {
  return mask(Eltwise::greater_equal_mask, a, b);
}
Value equal(const Value& a, const Value& b) { return mask(Eltwise::equal_mask, a, b); }
Value not_equal(const Value& a, const Value& b) { return mask(Eltwise::not_equal_mask, a, b); }
Value where(const Value& condition, const Value& a, const Value& b) {
  return select(cast(condition, a.dtype()), a, b);
}

Value cast(const Value& x, DType to) { return x.dtype() == to ? x : apply(CastOp(to), {x}); }
Value clamp(const Value& x, double low, double high) { return minimum(maximum(x, low), high); }
Value log_or_zero(const Value& x) {
  const Value positive = step(x);
  return select(positive, log(select(positive, x, ones_like(x))), zeros_like(x));
}
Value silu(const Value& x) { return x * sigmoid(x); }

// Hendrycks & Gimpel 2016.
Value gelu(const Value& x, Gelu kind) {
  if (kind == Gelu::erf) return gelu_exact(x);
  return x * (0.5 * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * (x * square(x))))));
}

}  // namespace descent
