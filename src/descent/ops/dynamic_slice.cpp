// Slices at a place that is only known when the plan runs: what a cache of past tokens is read and
// written with. Each of the two is the other's derivative.
#include <fmt/format.h>

#include <cstring>

#include "descent/ir/op.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

// A part of `n` of the extents of `axis`, as runs of bytes.
struct Part {
  Part(const Type& whole, int axis, std::int64_t n) : count(n), extent(whole.shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= whole.shape[i];
    for (int i = axis + 1; i < whole.shape.rank(); ++i) bytes *= whole.shape[i];
    bytes *= static_cast<std::int64_t>(size_of(whole.dtype));
  }
  // Calls f(byte offset in the whole, in the part, bytes) for each run.
  template <class F>
  void for_each(const std::byte* start, const F& f) const {
    const auto at = *reinterpret_cast<const std::int64_t*>(start);
    if (at < 0 || at + count > extent) {
      throw Error(
          ErrorKind::data,
          fmt::format("positions {} to {} are not in 0..{}", at, at + count - 1, extent - 1), "",
          "the sequence is longer than the model's context");
    }
    for (std::int64_t o = 0; o < outer; ++o) {
      f((o * extent + at) * bytes, o * count * bytes, static_cast<std::size_t>(count * bytes));
    }
  }
  std::int64_t outer = 1, count, extent, bytes = 1;
};

void check_start(const Op& op, std::span<const Type> in, const Type& start, int axis) {
  if (start.dtype != DType::int64 || start.shape.rank() != 0) {
    op.fail("the start must be an int64 scalar", in);
  }
  if (axis < 0 || axis >= in[0].shape.rank()) op.fail("there is no such axis", in);
}

struct DynamicSliceOp final : OpBase<DynamicSliceOp> {
  DynamicSliceOp(int a, std::int64_t n) : axis(a), count(n) {}
  int axis;
  std::int64_t count;
  bool operator==(const DynamicSliceOp&) const = default;
  std::string_view name() const override { return "dynamic_slice"; }
  std::string attributes() const override { return fmt::format("{} of axis {}", count, axis); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    check_start(*this, in, in[1], axis);
    if (count > in[0].shape[axis]) fail("the part is larger than the whole", in);
    Shape shape = in[0].shape;
    shape[axis] = count;
    return {{in[0].dtype, shape, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {dynamic_update(zeros_like(in[0]), g[0], axis, in[1]), Value()};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    return {tangent[0] ? dynamic_slice(tangent[0], axis, in[1], count) : Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole(
        [part = Part(b.in_types[0], axis, count), x = b.in[0], start = b.in[1], y = b.out[0]] {
          part.for_each(start, [&](std::int64_t from, std::int64_t to, std::size_t bytes) {
            std::memcpy(y + to, x + from, bytes);
          });
        });
  }
};

struct DynamicUpdateOp final : OpBase<DynamicUpdateOp> {
  explicit DynamicUpdateOp(int a) : axis(a) {}
  int axis;
  bool operator==(const DynamicUpdateOp&) const = default;
  std::string_view name() const override { return "dynamic_update"; }
  std::string attributes() const override { return fmt::format("axis {}", axis); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    check_start(*this, in, in[2], axis);
    Shape fits = in[0].shape;
    if (in[1].shape.rank() == fits.rank()) fits[axis] = in[1].shape[axis];
    if (in[1].shape != fits || in[1].dtype != in[0].dtype || fits[axis] > in[0].shape[axis]) {
      fail("the part does not fit into the whole", in);
    }
    return {{in[0].dtype, in[0].shape, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {dynamic_update(g[0], zeros_like(in[1]), axis, in[2]),
            dynamic_slice(g[0], axis, in[2], in[1].shape()[axis]), Value()};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    if (!tangent[0] && !tangent[1]) return {Value()};
    return {dynamic_update(tangent[0] ? tangent[0] : zeros_like(in[0]),
                           tangent[1] ? tangent[1] : zeros_like(in[1]), axis, in[2])};
  }
  Kernel bind(const Binding& b) const override {
    return whole([part = Part(b.in_types[0], axis, b.in_types[1].shape[axis]), x = b.in[0],
                  v = b.in[1], start = b.in[2], y = b.out[0], all = b.out_types[0].bytes()] {
      if (x != y) std::memcpy(y, x, all);
      part.for_each(start, [&](std::int64_t to, std::int64_t from, std::size_t bytes) {
        std::memcpy(y + to, v + from, bytes);
      });
    });
  }
  bool in_place(int input, int) const override { return input == 0; }
};

}  // namespace

Value dynamic_slice(const Value& x, int axis, const Value& start, std::int64_t count) {
  return apply(DynamicSliceOp(axis < 0 ? axis + x.rank() : axis, count), {x, start});
}
Value dynamic_update(const Value& x, const Value& part, int axis, const Value& start) {
  return apply(DynamicUpdateOp(axis < 0 ? axis + x.rank() : axis), {x, part, start});
}

}  // namespace descent
