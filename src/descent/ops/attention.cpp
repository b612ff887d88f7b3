// Scaled dot-product attention and its gradient, each one kernel that never holds the matrix of
// scores (kernels/attention.h). Operands are q, k, v [rows, heads, time, dim], or one packed tensor
// [rows, time, 3, heads, dim] as a fused projection gives it. Derivatives of the gradient, and
// forward mode, are compositions (attention_reference.h).
#include "descent/kernels/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/ir/op.h"
#include "descent/ops/attention_reference.h"
#include "descent/ops/ops.h"
#include "descent/ops/random.h"

namespace descent {
namespace {

DType computed_in(DType in) { return in == DType::bfloat16 ? DType::float32 : in; }

// What both operations know of their operands, which come first among the inputs, then the mask,
// then the key of the dropout.
struct Attention {
  bool packed = false, causal = false, masked = false;
  double scale = 1, dropout = 0;
  std::uint64_t stream = 0;  // of the dropout
  bool operator==(const Attention&) const = default;

  std::size_t operands() const { return packed ? 1 : 3; }
  std::size_t key() const { return operands() + (masked ? 1 : 0); }
  std::size_t inputs() const { return key() + (dropout > 0 ? 1 : 0); }
  std::string attributes() const {
    return fmt::format("scale {:.6g}{}{}{}", scale, causal ? ", causal" : "",
                       masked ? ", key mask" : "",
                       dropout > 0 ? fmt::format(", dropout {:.6g}", dropout) : "");
  }

  kernels::AttentionShape shape(std::span<const Type> in) const {
    const auto& q = in[0].shape;
    kernels::AttentionShape s{.causal = causal, .scale = scale, .in = in[0].dtype};
    s.dropout = dropout;
    s.rows = q[0], s.heads = packed ? q[3] : q[1], s.dim = q[-1];
    s.queries = packed ? q[1] : q[2];
    s.keys = packed ? q[1] : in[1].shape[2];
    return s;
  }
  // Of the output, and of its cotangent.
  Type out(std::span<const Type> in) const {
    const auto s = shape(in);
    const auto shape = packed ? Shape{s.rows, s.queries, s.heads * s.dim}
                              : Shape{s.rows, s.heads, s.queries, s.dim};
    return {computed_in(s.in), shape, any_per_shard(in)};
  }

  void check(const Op& op, std::span<const Type> in) const {
    const auto& q = in[0].shape;
    if (!is_floating(in[0].dtype)) op.fail("wants floating-point operands", in, "cast() them");
    if (packed) {
      if (q.rank() != 5 || q[2] != 3) op.fail("wants q, k and v packed as [N, T, 3, H, D]", in);
    } else {
      if (q.rank() != 4) op.fail("wants q, k and v as [N, H, T, D]", in);
      Shape kv = q;
      if (in[1].shape.rank() == 4) kv[2] = in[1].shape[2];
      if (in[1].shape != kv || in[2].shape != kv || in[1].dtype != in[0].dtype ||
          in[2].dtype != in[0].dtype) {
        op.fail("k and v must be as q but for the number of keys", in);
      }
    }
    if (q[-1] == 0 || shape(in).keys == 0) op.fail("nothing to attend to", in);
    if (masked) {
      const auto& mask = in[operands()];
      const auto s = shape(in);
      if (mask.shape != Shape{s.rows, s.keys}) {
        op.fail(fmt::format("the key mask must be [{}, {}]", s.rows, s.keys), in);
      }
    }
    if (dropout > 0 && (in[key()].dtype != DType::int64 || in[key()].shape.size() != 1)) {
      op.fail("wants an int64 scalar as its key", in);
    }
  }

  // Operand i of the three (for packed ones inside the one tensor) of types `in`; Data: read or
  // written.
  template <class Data>
  kernels::AttentionTensor<Data> tensor(Data* const* at, int i, std::span<const Type> in) const {
    const auto s = shape(in);
    if (!packed) {
      const auto time = i == 0 ? s.queries : s.keys;
      return {at[i], s.heads * time * s.dim, time * s.dim, s.dim};
    }
    const auto width = s.heads * s.dim;
    // Of the gradients: they have the type that is computed in.
    const auto type = std::is_const_v<Data> ? s.in : computed_in(s.in);
    return {at[0] + i * width * static_cast<std::int64_t>(size_of(type)), 3 * width * s.queries,
            s.dim, 3 * width};
  }
  template <class Data>
  kernels::AttentionTensor<Data> output(Data* at, std::span<const Type> in) const {
    const auto s = shape(in);
    const auto width = s.heads * s.dim;
    if (packed) return {at, s.queries * width, s.dim, width};
    return {at, s.queries * width, s.queries * s.dim, s.dim};
  }

  kernels::AttentionNoise noise(const Binding& b) const {
    if (dropout == 0) return {};
    return {reinterpret_cast<const std::uint64_t*>(b.in[key()]), stream,
            b.shard() * b.in_types[0].shape[0]};
  }

  // ---- as [N, H, T, D], for the compositions ----
  AttentionOperands split(ValueSpan in, DType to) const {
    const auto of = [&](const Value& x) { return x ? cast(x, to) : Value(); };
    if (!packed) return {of(in[0]), of(in[1]), of(in[2])};
    if (!in[0]) return {};
    const Value all = transpose(of(in[0]), {2, 0, 3, 1, 4});
    return {all[0], all[1], all[2]};
  }
  Value split_output(const Value& o, std::int64_t dim) const {
    if (!packed || !o) return o;
    const auto& s = o.shape();
    return transpose(reshape(o, {s[0], s[1], s[2] / dim, dim}), {0, 2, 1, 3});
  }
  Value join_output(const Value& o) const {
    if (!packed || !o) return o;
    const auto& s = o.shape();
    return reshape(transpose(o, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
  }
  Values join(const AttentionOperands& o) const {
    if (!packed) return {o.q, o.k, o.v};
    Value like = o.q ? o.q : o.k ? o.k : o.v;
    if (!like) return {Value()};
    Values parts;
    for (const auto& part : {o.q, o.k, o.v}) parts.push_back(part ? part : zeros_like(like));
    return {transpose(stack(parts), {1, 3, 0, 2, 4})};
  }
  // Element for element what the kernels multiply the probabilities by.
  Value noise(ValueSpan in) const {
    if (dropout == 0) return {};
    std::vector<Type> types;
    for (const auto& v : in) types.push_back(v.type());
    const auto s = shape(types);
    const Type drawn{computed_in(s.in),
                     {s.rows, s.heads, s.keys, kernels::noise_queries(s.queries)},
                     any_per_shard(types)};
    const Value u = slice(uniform_of_stream(in[key()], drawn, stream), 3, 0, s.queries);
    return transpose(kept_or_dropped(u, dropout), {0, 1, 3, 2});
  }
  AttentionReference reference(ValueSpan in) const {
    return {split(in, computed_in(in[0].dtype())), causal, scale, masked ? in[operands()] : Value(),
            noise(in)};
  }
};

// operands, [mask], [key] -> o, log-sum-exp [N, H, T] (which serves the gradient alone).
struct AttentionOp final : OpBase<AttentionOp> {
  explicit AttentionOp(Attention a) : attention(a) {}
  Attention attention;
  bool operator==(const AttentionOp&) const = default;
  std::string_view name() const override { return "attention"; }
  std::string attributes() const override { return attention.attributes(); }

  std::vector<Type> infer(std::span<const Type> in) const override {
    attention.check(*this, in);
    const auto s = attention.shape(in);
    return {attention.out(in),
            {computed_in(s.in), {s.rows, s.heads, s.queries}, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    const auto tangents = attention.split(tangent, computed_in(in[0].dtype()));
    return {attention.join_output(attention.reference(in).output_tangent(tangents)), Value()};
  }

  Kernel bind(const Binding& b) const override {
    kernels::AttentionForward call{.shape = attention.shape(b.in_types)};
    call.q = attention.tensor(b.in.data(), 0, b.in_types);
    call.k = attention.tensor(b.in.data(), 1, b.in_types);
    call.v = attention.tensor(b.in.data(), 2, b.in_types);
    if (attention.masked) {
      call.mask = reinterpret_cast<const bool*>(b.in[attention.operands()]);
    }
    call.out = attention.output(b.out[0], b.in_types);
    call.lse = b.out[1];
    call.noise = attention.noise(b);
    return whole([call, scratch = b.scratch] { kernels::attention(call, scratch); });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::attention_scratch_bytes(attention.shape(in));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    const auto s = attention.shape(in);
    return 4.0 * static_cast<double>(s.rows * s.heads * s.queries * s.keys * s.dim) /
           (s.causal ? 2 : 1);
  }
  // q, k and v, head by head.
  int copies(std::span<const Type>, std::span<const Type>) const override { return 3; }
};

// operands, [mask], [key], o, log-sum-exp, g -> gradients of the operands. A function of the
// operands and g: where it is differentiated, o and the log-sum-exp are theirs.
struct AttentionGradientOp final : OpBase<AttentionGradientOp> {
  explicit AttentionGradientOp(Attention a) : attention(a) {}
  Attention attention;
  bool operator==(const AttentionGradientOp&) const = default;
  std::string_view name() const override { return "attention_gradient"; }
  std::string attributes() const override { return attention.attributes(); }

  std::vector<Type> infer(std::span<const Type> in) const override {
    std::vector<Type> out;
    for (std::size_t i = 0; i < attention.operands(); ++i) {
      out.push_back({computed_in(in[i].dtype), in[i].shape, any_per_shard(in)});
    }
    return out;
  }
  Value split_g(const Value& g, ValueSpan in) const {
    return attention.split_output(g, in[0].shape()[-1]);
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const override {
    const auto cotangents = attention.split(cotangent, computed_in(in[0].dtype()));
    const auto [operands, g] =
        attention.reference(in).gradient_cotangent(split_g(in.back(), in), cotangents);
    Values result = attention.join(operands);
    result.resize(in.size());
    result.back() = attention.join_output(g);
    return result;
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    const auto tangents = attention.split(tangent, computed_in(in[0].dtype()));
    return attention.join(attention.reference(in).gradient_tangent(split_g(in.back(), in), tangents,
                                                                   split_g(tangent.back(), in)));
  }

  Kernel bind(const Binding& b) const override {
    const auto first = attention.inputs();
    kernels::AttentionBackward call{.shape = attention.shape(b.in_types)};
    call.q = attention.tensor(b.in.data(), 0, b.in_types);
    call.k = attention.tensor(b.in.data(), 1, b.in_types);
    call.v = attention.tensor(b.in.data(), 2, b.in_types);
    if (attention.masked) {
      call.mask = reinterpret_cast<const bool*>(b.in[attention.operands()]);
    }
    call.out = attention.output(b.in[first], b.in_types);
    call.lse = b.in[first + 1];
    call.g = attention.output(b.in[first + 2], b.in_types);
    call.noise = attention.noise(b);
    call.dq = attention.tensor(b.out.data(), 0, b.in_types);
    call.dk = attention.tensor(b.out.data(), 1, b.in_types);
    call.dv = attention.tensor(b.out.data(), 2, b.in_types);
    return whole([call, scratch = b.scratch] { kernels::attention_gradient(call, scratch); });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::attention_gradient_scratch_bytes(attention.shape(in));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    const auto s = attention.shape(in);
    return 10.0 * static_cast<double>(s.rows * s.heads * s.queries * s.keys * s.dim) /
           (s.causal ? 2 : 1);
  }
  // q, k, v and g, and what is given back.
  int copies(std::span<const Type>, std::span<const Type>) const override { return 7; }
};

Values AttentionOp::vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const {
  Values result(in.size());
  if (!cotangent[0]) return result;
  Values inputs(in.begin(), in.end());
  inputs.insert(inputs.end(), {out[0], out[1], cotangent[0]});
  const auto g = apply_all(std::make_shared<const AttentionGradientOp>(attention), inputs);
  std::copy(g.begin(), g.end(), result.begin());
  return result;
}

Value attend(Values operands, bool packed, const AttentionOptions& options) {
  const auto dim = static_cast<double>(operands[0].shape()[-1]);
  const Attention attention{.packed = packed,
                            .causal = options.causal,
                            .masked = static_cast<bool>(options.key_mask),
                            .scale = options.scale.value_or(1 / std::sqrt(dim)),
                            .dropout = options.dropout,
                            .stream = options.dropout > 0 ? dropout_stream(options.stream) : 0};
  check_dropout(options.dropout);
  if (options.key_mask) {
    const auto& mask = options.key_mask;
    operands.push_back(mask.dtype() == DType::boolean ? mask
                                                      : not_equal(mask, scalar(0, mask.dtype())));
  }
  if (options.dropout > 0) {
    if (!options.key) {
      throw Error(ErrorKind::usage, "dropout of attention without a key", NameScope::current(),
                  "give it the key of the step");
    }
    operands.push_back(options.key);
  }
  return apply_all(std::make_shared<const AttentionOp>(attention), std::move(operands))[0];
}

}  // namespace

Value attention(const Value& q, const Value& k, const Value& v, const AttentionOptions& options) {
  return attend({q, k, v}, false, options);
}
Value packed_attention(const Value& qkv, const AttentionOptions& options) {
  return attend({qkv}, true, options);
}

}  // namespace descent
