// Reshapes, transposes, slices and their relatives: data movement, linear in the data.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <numeric>

#include "descent/ir/op.h"
#include "descent/kernels/reduce.h"
#include "descent/ops/layout.h"
#include "descent/ops/ops.h"
#include "descent/ops/transpose.h"

namespace descent {
namespace {

// An operation of one input that is linear in it: its forward derivative is itself.
template <class Derived>
struct LinearOp : OpBase<Derived> {
  Values jvp(ValueSpan, ValueSpan, ValueSpan tangent) const override {
    return {apply(static_cast<const Derived&>(*this), {tangent[0]})};
  }
  double flops(std::span<const Type>, std::span<const Type>) const override { return 0; }
};

Kernel copy_strided(const Binding& b, std::vector<std::int64_t> strides, std::int64_t offset) {
  return whole([x = b.in[0], o = b.out[0], shape = b.out_types[0].shape,
                strides = std::move(strides), offset, size = size_of(b.out_types[0].dtype)] {
    kernels::strided_copy(x, o, shape, strides, offset, size);
  });
}

struct ReshapeOp final : LinearOp<ReshapeOp> {
  explicit ReshapeOp(Shape s) : shape(std::move(s)) {}
  Shape shape;
  bool operator==(const ReshapeOp&) const = default;
  std::string_view name() const override { return "reshape"; }
  std::string attributes() const override { return to_string(shape); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].shape.size() != shape.size()) {
      this->fail(fmt::format("{} elements do not make {}", in[0].shape.size(), to_string(shape)),
                 in);
    }
    return {{in[0].dtype, shape, in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {reshape(g[0], in[0].shape())};
  }
  std::optional<std::int64_t> view(std::span<const Type>) const override { return 0; }
  Kernel bind(const Binding& b) const override {
    return whole([x = b.in[0], o = b.out[0], n = b.out_types[0].bytes()] {
      if (o != x) std::memcpy(o, x, n);
    });
  }
};

struct BroadcastOp final : LinearOp<BroadcastOp> {
  explicit BroadcastOp(Shape s) : shape(std::move(s)) {}
  Shape shape;
  bool operator==(const BroadcastOp&) const = default;
  std::string_view name() const override { return "broadcast"; }
  std::string attributes() const override { return to_string(shape); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    const auto common = broadcast(in[0].shape, shape);
    if (!common || !(*common == shape))
      this->fail(fmt::format("does not broadcast to {}", to_string(shape)), in);
    return {{in[0].dtype, shape, in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {sum_to(g[0], in[0].shape())};
  }
  Kernel bind(const Binding& b) const override {
    const auto& s = b.in_types[0].shape;
    const auto from = s.strides();
    const int extra = shape.rank() - s.rank();
    std::vector<std::int64_t> strides(static_cast<std::size_t>(shape.rank()), 0);
    for (int i = 0; i < s.rank(); ++i) {
      if (s[i] != 1)
        strides[static_cast<std::size_t>(i + extra)] = from[static_cast<std::size_t>(i)];
    }
    return copy_strided(b, std::move(strides), 0);
  }
};

// Elements begin, begin + step, ... of an axis: `count` of them.
struct SliceOp final : LinearOp<SliceOp> {
  SliceOp(int a, std::int64_t b, std::int64_t c, std::int64_t s)
      : axis(a), begin(b), count(c), step(s) {}
  int axis;
  std::int64_t begin, count, step;
  bool operator==(const SliceOp&) const = default;
  std::string_view name() const override { return "slice"; }
  std::string attributes() const override {
    return fmt::format("axis {}, {} from {}{}", axis, count, begin,
                       step == 1 ? "" : fmt::format(" by {}", step));
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (axis >= in[0].shape.rank() || begin < 0 || count < 0 || step < 1 ||
        (count > 0 && begin + (count - 1) * step >= in[0].shape[axis])) {
      this->fail("outside the axis", in);
    }
    Type out = in[0];
    out.shape[axis] = count;
    return {out};
  }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (!is_last(in[0])) return std::nullopt;
    return Values{to_first(apply(SliceOp(axis_last(axis), begin, count, step), {to_last(in[0])}))};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    const auto used = count == 0 ? 0 : (count - 1) * step + 1;
    return {pad(g[0], axis, begin, in[0].shape()[axis] - begin - used, step)};
  }
  // Rows of the outermost extent that is not 1 lie together.
  std::optional<std::int64_t> view(std::span<const Type> in) const override {
    if (step != 1) return std::nullopt;
    for (int i = 0; i < axis; ++i) {
      if (in[0].shape[i] != 1) return std::nullopt;
    }
    return begin * in[0].shape.strides()[static_cast<std::size_t>(axis)] *
           static_cast<std::int64_t>(size_of(in[0].dtype));
  }
  Kernel bind(const Binding& b) const override {
    auto strides = b.in_types[0].shape.strides();
    const auto offset = begin * strides[static_cast<std::size_t>(axis)];
    strides[static_cast<std::size_t>(axis)] *= step;
    return copy_strided(b, std::move(strides), offset);
  }
};

struct PadOp final : LinearOp<PadOp> {
  PadOp(int a, std::int64_t b, std::int64_t c, std::int64_t s)
      : axis(a), before(b), after(c), step(s) {}
  int axis;
  std::int64_t before, after, step;
  bool operator==(const PadOp&) const = default;
  std::string_view name() const override { return "pad"; }
  std::string attributes() const override {
    return fmt::format("axis {}, {} before, {} after, step {}", axis, before, after, step);
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (axis >= in[0].shape.rank() || before < 0 || after < 0 || step < 1)
      this->fail("negative padding", in);
    Type out = in[0];
    const auto n = out.shape[axis];
    out.shape[axis] = before + (n == 0 ? 0 : (n - 1) * step + 1) + after;
    return {out};
  }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (!is_last(in[0])) return std::nullopt;
    return Values{to_first(apply(PadOp(axis_last(axis), before, after, step), {to_last(in[0])}))};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {apply(SliceOp(axis, before, in[0].shape()[axis], step), {g[0]})};
  }
  Kernel bind(const Binding& b) const override {
    auto strides = b.out_types[0].shape.strides();
    const auto offset = before * strides[static_cast<std::size_t>(axis)];
    strides[static_cast<std::size_t>(axis)] *= step;
    return whole([x = b.in[0], o = b.out[0], bytes = b.out_types[0].bytes(),
                  shape = b.in_types[0].shape, strides = std::move(strides), offset,
                  size = size_of(b.in_types[0].dtype)] {
      std::memset(o, 0, bytes);
      kernels::strided_store(x, o, shape, strides, offset, size);
    });
  }
};

struct ConcatOp final : OpBase<ConcatOp> {
  explicit ConcatOp(int a) : axis(a) {}
  int axis;
  bool operator==(const ConcatOp&) const = default;
  std::string_view name() const override { return "concat"; }
  std::string attributes() const override { return fmt::format("axis {}", axis); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    Type out = in[0];
    out.per_shard = any_per_shard(in);
    std::int64_t total = 0;
    for (const auto& t : in) {
      Shape s = t.shape;
      if (t.dtype != out.dtype || s.rank() != out.shape.rank() || axis >= s.rank())
        fail("types or ranks differ", in);
      total += s[axis];
      s[axis] = out.shape[axis];
      if (!(s == out.shape)) fail("extents differ on another axis", in);
    }
    out.shape[axis] = total;
    return {out};
  }
  std::optional<Values> channels_last(ValueSpan in) const override {
    Values parts;
    for (const auto& v : in) {
      if (!is_last(v)) return std::nullopt;
      parts.push_back(to_last(v));
    }
    return Values{to_first(apply(ConcatOp(axis_last(axis)), std::move(parts)))};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    Values result;
    std::int64_t begin = 0;
    for (const auto& v : in) {
      result.push_back(slice(g[0], axis, begin, begin + v.shape()[axis]));
      begin += v.shape()[axis];
    }
    return result;
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    Values parts;
    for (std::size_t i = 0; i < in.size(); ++i)
      parts.push_back(tangent[i] ? tangent[i] : zeros_like(in[i]));
    return {apply(*this, std::move(parts))};
  }
  Kernel bind(const Binding& b) const override {
    struct Part {
      const std::byte* x;
      Shape shape;
      std::int64_t offset;
    };
    std::vector<Part> parts;
    const auto strides = b.out_types[0].shape.strides();
    std::int64_t at = 0;
    for (std::size_t i = 0; i < b.in.size(); ++i) {
      parts.push_back({b.in[i], b.in_types[i].shape, at * strides[static_cast<std::size_t>(axis)]});
      at += b.in_types[i].shape[axis];
    }
    return whole(
        [parts = std::move(parts), strides, o = b.out[0], size = size_of(b.out_types[0].dtype)] {
          for (const auto& p : parts)
            kernels::strided_store(p.x, o, p.shape, strides, p.offset, size);
        });
  }
  double flops(std::span<const Type>, std::span<const Type>) const override { return 0; }
};

int positive(const Value& x, int axis) { return axis < 0 ? axis + x.rank() : axis; }

}  // namespace

std::string TransposeOp::attributes() const { return fmt::format("{}", axes); }

std::vector<Type> TransposeOp::infer(std::span<const Type> in) const {
  std::vector<bool> seen(static_cast<std::size_t>(in[0].shape.rank()));
  bool good = static_cast<int>(axes.size()) == in[0].shape.rank();
  for (const int a : axes) {
    good = good && a >= 0 && a < in[0].shape.rank() && !seen[static_cast<std::size_t>(a)];
    if (good) seen[static_cast<std::size_t>(a)] = true;
  }
  if (!good) fail("the axes are not a permutation", in);
  Shape s;
  for (const int a : axes) s.push_back(in[0].shape[a]);
  return {{in[0].dtype, s, in[0].per_shard}};
}

Values TransposeOp::vjp(ValueSpan, ValueSpan, ValueSpan g) const {
  std::vector<int> inverse(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i)
    inverse[static_cast<std::size_t>(axes[i])] = static_cast<int>(i);
  return {transpose(g[0], inverse)};
}

Values TransposeOp::jvp(ValueSpan, ValueSpan, ValueSpan t) const { return {apply(*this, {t[0]})}; }

Kernel TransposeOp::bind(const Binding& b) const {
  const auto from = b.in_types[0].shape.strides();
  std::vector<std::int64_t> strides;
  for (const int a : axes) strides.push_back(from[static_cast<std::size_t>(a)]);
  return copy_strided(b, std::move(strides), 0);
}

Value reshape(const Value& x, Shape shape) {
  int open = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1)
      open = i;
    else
      known *= shape[i];
  }
  if (open >= 0 && known > 0) shape[open] = x.shape().size() / known;
  return shape == x.shape() ? x : apply(ReshapeOp(std::move(shape)), {x});
}

Value flatten(const Value& x, int from) {
  Shape s;
  for (int i = 0; i < from; ++i) s.push_back(x.shape()[i]);
  s.push_back(-1);
  return reshape(x, s);
}

Value transpose(const Value& x, std::vector<int> axes) {
  if (axes.empty()) {
    axes.resize(static_cast<std::size_t>(x.rank()));
    std::iota(axes.rbegin(), axes.rend(), 0);
  }
  return apply(TransposeOp(std::move(axes)), {x});
}

Value broadcast_to(const Value& x, const Shape& shape) {
  return x.shape() == shape ? x : apply(BroadcastOp(shape), {x});
}

Value slice(const Value& x, int axis, std::int64_t begin, std::int64_t end, std::int64_t step) {
  axis = positive(x, axis);
  const auto count = end <= begin ? 0 : (end - begin + step - 1) / step;
  if (step == 1 && begin == 0 && axis < x.rank() && count == x.shape()[axis]) return x;
  return apply(SliceOp(axis, begin, count, step), {x});
}

Value pad(const Value& x, int axis, std::int64_t before, std::int64_t after, std::int64_t step) {
  if (before == 0 && after == 0 && step == 1) return x;
  return apply(PadOp(positive(x, axis), before, after, step), {x});
}

Value concat(const Values& parts, int axis) {
  if (parts.empty()) throw Error(ErrorKind::usage, "concat of nothing", NameScope::current());
  return parts.size() == 1 ? parts[0] : apply(ConcatOp(positive(parts[0], axis)), parts);
}

Value stack(const Values& parts) {
  Values rows;
  for (const auto& v : parts) rows.push_back(expand_dims(v, 0));
  return concat(rows, 0);
}

Value expand_dims(const Value& x, int axis) {
  if (axis < 0) axis += x.rank() + 1;
  auto dims = x.shape().dims();
  dims.insert(dims.begin() + axis, 1);
  return reshape(x, Shape(std::move(dims)));
}

Value squeeze(const Value& x, int axis) {
  auto dims = x.shape().dims();
  dims.erase(dims.begin() + positive(x, axis));
  return reshape(x, Shape(std::move(dims)));
}

Value Value::operator[](std::int64_t i) const { return squeeze(slice(*this, 0, i, i + 1), 0); }

Value zeros(const Type& type) { return full(type, 0); }
Value full(const Type& type, double value) {
  const Value v = broadcast_to(scalar(value, type.dtype), type.shape);
  return type.per_shard ? to_shards(v) : v;
}
Value zeros_like(const Value& x) { return full(x.type(), 0); }
Value ones_like(const Value& x) { return full(x.type(), 1); }

}  // namespace descent
