// Where shards meet: sums over them in a fixed order, and control of scheduling and
// differentiation.
#include "descent/ops/shards.h"

#include <fmt/format.h>

#include <cstring>

#include "descent/ir/op.h"
#include "descent/kernels/eltwise.h"
#include "descent/ops/ops.h"

namespace descent {

std::vector<Type> AllReduceSumOp::infer(std::span<const Type> in) const {
  if (kernels::eltwise_kernel(kernels::Eltwise::add, in[0].dtype) == nullptr)
    fail("wants numbers", in, "cast() to float32");
  return {{in[0].dtype, in[0].shape, false}};
}
Values AllReduceSumOp::vjp(ValueSpan, ValueSpan, ValueSpan g) const { return {to_shards(g[0])}; }
Values AllReduceSumOp::jvp(ValueSpan, ValueSpan, ValueSpan t) const {
  return {all_reduce_sum(t[0])};
}
Kernel AllReduceSumOp::bind(const Binding& b) const {
  const auto add = kernels::eltwise_kernel(kernels::Eltwise::add, b.out_types[0].dtype);
  return whole([add, in = b.in, out = b.out[0], n = b.out_types[0].shape.size(),
                bytes = b.out_types[0].bytes()] {
    if (in.size() == 1) {
      if (out != in[0]) std::memcpy(out, in[0], bytes);
      return;
    }
    add(in[0], in[1], nullptr, out, n);
    for (std::size_t s = 2; s < in.size(); ++s) add(out, in[s], nullptr, out, n);
  });
}

Values ToShardsOp::vjp(ValueSpan, ValueSpan, ValueSpan g) const { return {all_reduce_sum(g[0])}; }
Values ToShardsOp::jvp(ValueSpan, ValueSpan, ValueSpan t) const { return {to_shards(t[0])}; }
Kernel ToShardsOp::bind(const Binding& b) const {
  return whole([x = b.in[0], o = b.out[0], n = b.out_types[0].bytes()] {
    if (o != x) std::memcpy(o, x, n);
  });
}

namespace {

struct ShardCountOp final : OpBase<ShardCountOp> {
  explicit ShardCountOp(DType t) : dtype(t) {}
  DType dtype;
  bool operator==(const ShardCountOp&) const = default;
  std::string_view name() const override { return "shard_count"; }
  std::vector<Type> infer(std::span<const Type>) const override { return {{dtype, {}, false}}; }
  Kernel bind(const Binding& b) const override {
    Array value(dtype, {});
    value.set_item(0, b.shards);
    return whole([value, o = b.out[0]] { std::memcpy(o, value.raw(), value.bytes()); });
  }
};

// The value itself; what distinguishes the two is the derivative.
struct IdentityOp final : OpBase<IdentityOp> {
  explicit IdentityOp(bool s) : stop(s) {}
  bool stop;
  bool operator==(const IdentityOp&) const = default;
  std::string_view name() const override { return stop ? "stop_gradient" : "identity"; }
  std::vector<Type> infer(std::span<const Type> in) const override { return {in[0]}; }
  Values vjp(ValueSpan, ValueSpan, ValueSpan g) const override { return {stop ? Value() : g[0]}; }
  Values jvp(ValueSpan, ValueSpan, ValueSpan t) const override { return {stop ? Value() : t[0]}; }
  std::optional<std::int64_t> view(std::span<const Type>) const override { return 0; }
  Kernel bind(const Binding& b) const override {
    return whole([x = b.in[0], o = b.out[0], n = b.out_types[0].bytes()] {
      if (o != x) std::memcpy(o, x, n);
    });
  }
};

// Input 0, once the other inputs are there. Never equal to another barrier: what stands behind it
// is not merged with what stands before.
struct BarrierOp final : Op {
  std::string_view name() const override { return "barrier"; }
  bool same_as(const Op& other) const override { return this == &other; }
  std::vector<Type> infer(std::span<const Type> in) const override { return {in[0]}; }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    Values result(in.size());
    result[0] = g[0];
    return result;
  }
  Values jvp(ValueSpan, ValueSpan, ValueSpan t) const override { return {t[0]}; }
  std::optional<std::int64_t> view(std::span<const Type>) const override { return 0; }
  Kernel bind(const Binding& b) const override {
    return whole([x = b.in[0], o = b.out[0], n = b.out_types[0].bytes()] {
      if (o != x) std::memcpy(o, x, n);
    });
  }
};

}  // namespace

Value all_reduce_sum(const Value& x) { return x.per_shard() ? apply(AllReduceSumOp(), {x}) : x; }
Value to_shards(const Value& x) { return x.per_shard() ? x : apply(ToShardsOp(), {x}); }
Value shard_count(DType dtype) { return apply(ShardCountOp(dtype), {}); }

Value batch_size(const Value& x) {
  const Value rows = scalar(static_cast<double>(x.shape()[0]), x.dtype());
  return x.per_shard() ? rows * shard_count(x.dtype()) : rows;
}

Value batch_sum(const Value& x, std::vector<int> axes, bool keep) {
  return all_reduce_sum(sum(x, std::move(axes), keep));
}

Value batch_mean(const Value& x, std::vector<int> axes, bool keep) {
  const Value total = batch_sum(x, std::move(axes), keep);
  const double count = static_cast<double>(x.shape().size()) /
                       static_cast<double>(std::max<std::int64_t>(1, total.shape().size()));
  return x.per_shard() ? total / (count * shard_count(x.dtype())) : total / count;
}

Value stop_gradient(const Value& x) { return apply(IdentityOp(true), {x}); }
Value identity(const Value& x) { return apply(IdentityOp(false), {x}); }

Values barrier(const Values& x, const Values& after) {
  Values result;
  for (const auto& v : x) {
    Values inputs{v};
    inputs.insert(inputs.end(), after.begin(), after.end());
    result.push_back(
        descent::apply(std::static_pointer_cast<const Op>(std::make_shared<const BarrierOp>()),
                       std::move(inputs)));
  }
  return result;
}

}  // namespace descent
