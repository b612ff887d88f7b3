// Reductions: one operation over a contiguous range of axes; others are done in steps.
#include "descent/kernels/reduce.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/ir/op.h"
#include "descent/ops/layout.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

using kernels::Reduction;

std::int64_t extent(const Shape& s, int from, int to) {
  std::int64_t n = 1;
  for (int i = from; i < to; ++i) n *= s[i];
  return n;
}

Shape without_axes(const Shape& s, int first, int last, bool keep) {
  Shape out;
  for (int i = 0; i < s.rank(); ++i) {
    if (i < first || i >= last)
      out.push_back(s[i]);
    else if (keep)
      out.push_back(1);
  }
  return out;
}

// Axes [first, last) are reduced.
struct ReduceOp final : OpBase<ReduceOp> {
  ReduceOp(Reduction k, int f, int l, bool kp) : kind(k), first(f), last(l), keep(kp) {}
  Reduction kind;
  int first, last;
  bool keep;
  bool operator==(const ReduceOp&) const = default;
  std::string_view name() const override {
    return kind == Reduction::sum ? "sum" : kind == Reduction::max ? "max" : "min";
  }
  std::string attributes() const override {
    return fmt::format("axes {}..{}{}", first, last - 1, keep ? ", keep" : "");
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (kernels::reduce_kernel(kind, in[0].dtype) == nullptr) {
      fail(fmt::format("not defined for {}", name_of(in[0].dtype)), in, "cast() to float32 first");
    }
    if (kind != Reduction::sum && extent(in[0].shape, first, last) == 0)
      fail("nothing to reduce over", in);
    return {{in[0].dtype, without_axes(in[0].shape, first, last, keep), in[0].per_shard}};
  }
  Value widened(const Value& reduced, const Value& x) const {
    return broadcast_to(reshape(reduced, without_axes(x.shape(), first, last, true)), x.shape());
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override {
    const Value g = widened(cotangent[0], in[0]);
    if (kind == Reduction::sum) return {g};
    return {g * share(in[0], out[0])};
  }
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override {
    if (kind == Reduction::sum) return {apply(*this, {tangent[0]})};
    ReduceOp total = *this;
    total.kind = Reduction::sum;
    return {apply(total, {tangent[0] * share(in[0], out[0])})};
  }
  // 1 / (number of extremal elements) at each of them: ties share.
  Value share(const Value& x, const Value& y) const {
    const Value mask = equal_mask(x, widened(y, x));
    ReduceOp total = *this;
    total.kind = Reduction::sum;
    return mask / widened(apply(total, {mask}), x);
  }
  Kernel bind(const Binding& b) const override {
    const auto& s = b.in_types[0].shape;
    const auto f = kernels::reduce_kernel(kind, b.in_types[0].dtype);
    return whole([f, x = b.in[0], o = b.out[0], outer = extent(s, 0, first),
                  n = extent(s, first, last),
                  inner = extent(s, last, s.rank())] { f(x, o, outer, n, inner); });
  }
  std::optional<std::int64_t> sums_rows(std::span<const Type> in) const override {
    const auto& s = in[0].shape;
    if (kind != Reduction::sum || extent(s, 0, first) != 1) return std::nullopt;
    return extent(s, last, s.rank());
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return static_cast<double>(in[0].shape.size());
  }
};

// Sums of the channels of images, over rows and places: [n, c, h, w] to [c]. One operation, so that
// the order of the sum is the same where the channels lie last ([n, h, w, c]).
struct ChannelSumOp final : OpBase<ChannelSumOp> {
  explicit ChannelSumOp(bool l) : last(l) {}
  bool last;
  bool operator==(const ChannelSumOp&) const = default;
  std::string_view name() const override { return "channel_sum"; }
  std::string attributes() const override { return last ? "channels last" : ""; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, {in[0].shape[last ? 3 : 1]}, in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    const Value wide = last ? g[0] : reshape(g[0], {in[0].shape()[1], 1, 1});
    return {broadcast_to(wide, in[0].shape())};
  }
  Values jvp(ValueSpan, ValueSpan, ValueSpan tangent) const override {
    return {apply(*this, {tangent[0]})};
  }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (!is_last(in[0])) return std::nullopt;
    return Values{apply(ChannelSumOp(true), {to_last(in[0])})};
  }
  Kernel bind(const Binding& b) const override {
    const auto& s = b.in_types[0].shape;
    const DType t = b.in_types[0].dtype;
    const auto* x = b.in[0];
    auto* o = b.out[0];
    if (!last) {
      return whole([x, o, t, n = s[0], c = s[1], places = s[2] * s[3]] {
        kernels::channel_sum(x, o, n, c, places, t);
      });
    }
    return whole([f = kernels::reduce_kernel(Reduction::sum, t), x, o, n = s[0] * s[1] * s[2],
                  c = s[3]] { f(x, o, 1, n, c); });
  }
  std::optional<std::int64_t> sums_rows(std::span<const Type> in) const override {
    if (!last) return std::nullopt;
    return in[0].shape[3];
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return static_cast<double>(in[0].shape.size());
  }
};

struct ArgMaxOp final : OpBase<ArgMaxOp> {
  explicit ArgMaxOp(int a) : axis(a) {}
  int axis;
  bool operator==(const ArgMaxOp&) const = default;
  std::string_view name() const override { return "argmax"; }
  std::string attributes() const override { return fmt::format("axis {}", axis); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{DType::int64, without_axes(in[0].shape, axis, axis + 1, false), in[0].per_shard}};
  }
  Values vjp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Values jvp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Kernel bind(const Binding& b) const override {
    const auto& s = b.in_types[0].shape;
    return whole([x = b.in[0], o = reinterpret_cast<std::int64_t*>(b.out[0]),
                  outer = extent(s, 0, axis), n = s[axis], inner = extent(s, axis + 1, s.rank()),
                  t = b.in_types[0].dtype] { kernels::arg_max(x, o, outer, n, inner, t); });
  }
};

int axis_of(const Value& x, int axis, const char* name) {
  const int a = axis < 0 ? axis + x.rank() : axis;
  if (a >= 0 && a < x.rank()) return a;
  throw Error(ErrorKind::usage,
              fmt::format("{}({}): there is no axis {}", name, to_string(x.type()), axis),
              NameScope::current(), fmt::format("axes go from 0 to {}", x.rank() - 1));
}

Value reduce(Reduction kind, const Value& x, std::vector<int> axes, bool keep, const char* name) {
  if (axes.empty()) return x.rank() == 0 ? x : apply(ReduceOp(kind, 0, x.rank(), keep), {x});
  for (auto& a : axes) a = axis_of(x, a, name);
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  if (kind == Reduction::sum && x.rank() == 4 && axes == std::vector{0, 2, 3} &&
      is_floating(x.dtype()) && x.dtype() != DType::bfloat16) {
    const Value total = apply(ChannelSumOp(false), {x});
    return keep ? reshape(total, {1, x.shape()[1], 1, 1}) : total;
  }
  // Runs of neighbouring axes from the right, so that the numbers on the left stay valid.
  Value y = x;
  for (std::size_t end = axes.size(); end > 0;) {
    std::size_t begin = end - 1;
    while (begin > 0 && axes[begin - 1] == axes[begin] - 1) --begin;
    y = apply(ReduceOp(kind, axes[begin], axes[end - 1] + 1, keep), {y});
    end = begin;
  }
  return y;
}

}  // namespace

Value sum(const Value& x, std::vector<int> axes, bool keep) {
  return reduce(Reduction::sum, x, std::move(axes), keep, "sum");
}
Value max(const Value& x, std::vector<int> axes, bool keep) {
  return reduce(Reduction::max, x, std::move(axes), keep, "max");
}
Value min(const Value& x, std::vector<int> axes, bool keep) {
  return reduce(Reduction::min, x, std::move(axes), keep, "min");
}

Value mean(const Value& x, std::vector<int> axes, bool keep) {
  const Value total = sum(x, std::move(axes), keep);
  return total *
         (static_cast<double>(total.shape().size()) / static_cast<double>(x.shape().size()));
}

Value logsumexp(const Value& x, int axis, bool keep) {
  const Value largest = stop_gradient(max(x, {axis}, true));
  const Value y = log(sum(exp(x - largest), {axis}, true)) + largest;
  return keep ? y : squeeze(y, axis);
}

Value softmax(const Value& x, int axis) {
  const Value e = exp(x - stop_gradient(max(x, {axis}, true)));
  return e / sum(e, {axis}, true);
}

Value log_softmax(const Value& x, int axis) {
  const Value shifted = x - stop_gradient(max(x, {axis}, true));
  return shifted - log(sum(exp(shifted), {axis}, true));
}

Value argmax(const Value& x, int axis) { return apply(ArgMaxOp(axis_of(x, axis, "argmax")), {x}); }

Value sum_to(const Value& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int extra = x.rank() - shape.rank();
  std::vector<int> axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1)) axes.push_back(i);
  }
  return reshape(axes.empty() ? x : sum(x, axes, true), shape);
}

Value dot(const Value& a, const Value& b) { return sum(a * b); }
Value norm(const Value& x) { return sqrt(sum(square(x))); }

}  // namespace descent
