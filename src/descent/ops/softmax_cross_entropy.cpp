// -log softmax(x)[label] over the last axis. The forward kernel keeps the log-sum-exp, from which
// the gradient (softmax - onehot) g takes one more pass; derivatives of that are composed.
#include "descent/kernels/softmax_cross_entropy.h"

#include <fmt/format.h>

#include "descent/ir/op.h"
#include "descent/ops/check_range.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

// [...] as [..., 1], to stand beside [..., classes].
Value column(const Value& x) {
  Shape s = x.shape();
  s.push_back(1);
  return reshape(x, s);
}

Value softmax_of(const Value& logits, const Value& lse) { return exp(logits - column(lse)); }

// (softmax(x) - onehot) * g from x, labels, log-sum-exp and g.
struct SoftmaxCrossEntropyGradientOp final : OpBase<SoftmaxCrossEntropyGradientOp> {
  bool operator==(const SoftmaxCrossEntropyGradientOp&) const = default;
  std::string_view name() const override { return "softmax_cross_entropy_gradient"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, in[0].shape, any_per_shard(in)}};
  }
  // With p = exp(x - lse): d = (p - onehot) g.
  Values vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const override {
    const Value &x = in[0], &labels = in[1], &lse = in[2], &g = in[3], &c = cotangent[0];
    const Value p = softmax_of(x, lse), by_x = c * p * column(g);
    const Value hot = one_hot(labels, x.shape()[-1], x.dtype());
    return {by_x, Value(), -sum(by_x, {-1}), sum(c * (p - hot), {-1})};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    const Value &x = in[0], &labels = in[1], &lse = in[2], &g = in[3];
    Value result;
    const auto add = [&](const Value& v) { result = result ? result + v : v; };
    const Value p = softmax_of(x, lse);
    if (tangent[0]) add(p * tangent[0] * column(g));
    if (tangent[2]) add(-(p * column(tangent[2] * g)));
    if (tangent[3]) {
      add((p - one_hot(labels, x.shape()[-1], x.dtype())) * column(tangent[3]));
    }
    return {result};
  }
  bool in_place(int input, int) const override { return input == 0; }
  Kernel bind(const Binding& b) const override {
    const auto classes = b.in_types[0].shape[-1];
    return whole([f = kernels::softmax_cross_entropy_kernels(b.in_types[0].dtype).gradient,
                  x = b.in[0], label = reinterpret_cast<const std::int64_t*>(b.in[1]),
                  lse = b.in[2], g = b.in[3], d = b.out[0], rows = b.in_types[1].shape.size(),
                  classes] { f(x, label, lse, g, d, rows, classes); });
  }
};

// x, labels -> loss, log-sum-exp.
struct SoftmaxCrossEntropyOp final : OpBase<SoftmaxCrossEntropyOp> {
  bool operator==(const SoftmaxCrossEntropyOp&) const = default;
  std::string_view name() const override { return "softmax_cross_entropy"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    const auto& x = in[0].shape;
    if (x.rank() < 1 || in[1].dtype != DType::int64)
      fail("wants logits [..., classes] and int64 labels [...]", in);
    if (in[0].dtype != DType::float32 && in[0].dtype != DType::float64)
      fail("wants float32 or float64 logits", in, "cast() them");
    Shape rows(std::vector<std::int64_t>(x.begin(), x.end() - 1));
    if (rows != in[1].shape || x[-1] < 1) fail("logits and labels do not fit", in);
    const bool per_shard = any_per_shard(in);
    return {{in[0].dtype, rows, per_shard}, {in[0].dtype, rows, per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override {
    Value by_x;
    if (cotangent[0]) {
      by_x = apply(SoftmaxCrossEntropyGradientOp(), {in[0], in[1], out[1], cotangent[0]});
    }
    if (cotangent[1]) {
      const Value more = softmax_of(in[0], out[1]) * column(cotangent[1]);
      by_x = by_x ? by_x + more : more;
    }
    return {by_x, Value()};
  }
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override {
    const Value& t = tangent[0];
    if (!t) return {Value(), Value()};
    const Value mean = sum(softmax_of(in[0], out[1]) * t, {-1});
    const Value hot = one_hot(in[1], t.shape()[-1], t.dtype());
    return {mean - sum(hot * t, {-1}), mean};
  }
  Kernel bind(const Binding& b) const override {
    const auto classes = b.in_types[0].shape[-1];
    return whole([f = kernels::softmax_cross_entropy_kernels(b.in_types[0].dtype).value,
                  x = b.in[0], label = reinterpret_cast<const std::int64_t*>(b.in[1]),
                  loss = b.out[0], lse = b.out[1], rows = b.in_types[1].shape.size(), classes] {
      check_range(label, rows, classes, "softmax_cross_entropy");
      f(x, label, loss, lse, rows, classes);
    });
  }
  // A maximum, a difference, an exponential (about ten) and a sum each.
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return 13.0 * static_cast<double>(in[0].shape.size());
  }
};

}  // namespace

Value softmax_cross_entropy(const Value& logits, const Value& labels) {
  return apply_all(std::make_shared<const SoftmaxCrossEntropyOp>(), {logits, labels})[0];
}

}  // namespace descent
