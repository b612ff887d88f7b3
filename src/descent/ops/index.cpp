// Rows by index.
#include <fmt/format.h>

#include <cstring>

#include "descent/ir/op.h"
#include "descent/kernels/reduce.h"
#include "descent/ops/check_range.h"
#include "descent/ops/ops.h"

namespace descent {

void check_range(const std::int64_t* index, std::int64_t n, std::int64_t limit, const char* what,
                 const char* remedy) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (index[i] >= 0 && index[i] < limit) continue;
    throw Error(
        ErrorKind::data,
        fmt::format("{}: index {} at position {} is not in 0..{}", what, index[i], i, limit - 1),
        "", remedy);
  }
}

namespace {

std::int64_t row_size(const Shape& table) { return table[0] == 0 ? 0 : table.size() / table[0]; }

struct GatherOp final : OpBase<GatherOp> {
  bool operator==(const GatherOp&) const = default;
  std::string_view name() const override { return "gather"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].shape.rank() < 1 || in[1].dtype != DType::int64)
      fail("wants a table of rows and int64 indices", in);
    Shape s = in[1].shape;
    for (int i = 1; i < in[0].shape.rank(); ++i) s.push_back(in[0].shape[i]);
    return {{in[0].dtype, s, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {scatter_add(g[0], in[1], in[0].shape()[0]), Value()};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    return {tangent[0] ? gather(tangent[0], in[1]) : Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole([table = b.in[0], index = reinterpret_cast<const std::int64_t*>(b.in[1]),
                  o = b.out[0], n = b.in_types[1].shape.size(), rows = b.in_types[0].shape[0],
                  row = row_size(b.in_types[0].shape), t = b.out_types[0].dtype] {
      check_range(index, n, rows, "gather",
                  "indices count from 0, and must be fewer than the rows of the table (tokens: "
                  "than the vocabulary)");
      kernels::gather_rows(table, index, o, n, row, t);
    });
  }
};

struct ScatterAddOp final : OpBase<ScatterAddOp> {
  explicit ScatterAddOp(std::int64_t r) : rows(r) {}
  std::int64_t rows;
  bool operator==(const ScatterAddOp&) const = default;
  std::string_view name() const override { return "scatter_add"; }
  std::string attributes() const override { return fmt::format("{} rows", rows); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    const int lead = in[1].shape.rank();
    if (in[0].shape.rank() < lead || in[1].dtype != DType::int64)
      fail("wants rows and their int64 indices", in);
    Shape s{rows};
    for (int i = lead; i < in[0].shape.rank(); ++i) s.push_back(in[0].shape[i]);
    return {{in[0].dtype, s, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {gather(g[0], in[1]), Value()};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    return {tangent[0] ? scatter_add(tangent[0], in[1], rows) : Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole([g = b.in[0], index = reinterpret_cast<const std::int64_t*>(b.in[1]), o = b.out[0],
                  n = b.in_types[1].shape.size(), row = row_size(b.out_types[0].shape), r = rows,
                  bytes = b.out_types[0].bytes(), t = b.out_types[0].dtype] {
      check_range(index, n, r, "scatter_add");
      std::memset(o, 0, bytes);
      kernels::scatter_add_rows(g, index, o, n, row, t);
    });
  }
};

// Piecewise constant in everything: no gradient.
template <class Derived>
struct NoGradientOp : OpBase<Derived> {
  Values vjp(ValueSpan in, ValueSpan, ValueSpan) const override { return Values(in.size()); }
  Values jvp(ValueSpan, ValueSpan out, ValueSpan) const override { return Values(out.size()); }
};

struct OneHotOp final : NoGradientOp<OneHotOp> {
  OneHotOp(std::int64_t c, DType t) : classes(c), dtype(t) {}
  std::int64_t classes;
  DType dtype;
  bool operator==(const OneHotOp&) const = default;
  std::string_view name() const override { return "one_hot"; }
  std::string attributes() const override { return fmt::format("{} classes", classes); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].dtype != DType::int64) this->fail("wants int64 indices", in, "cast() them to int64");
    Shape s = in[0].shape;
    s.push_back(classes);
    return {{dtype, s, in[0].per_shard}};
  }
  Kernel bind(const Binding& b) const override {
    return whole([index = reinterpret_cast<const std::int64_t*>(b.in[0]), o = b.out[0],
                  n = b.in_types[0].shape.size(), c = classes, t = dtype,
                  bytes = b.out_types[0].bytes()] {
      check_range(index, n, c, "one_hot");
      std::memset(o, 0, bytes);
      dispatch(t, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_arithmetic_v<T>) {
          for (std::int64_t i = 0; i < n; ++i) reinterpret_cast<T*>(o)[i * c + index[i]] = T{1};
        }
      });
    });
  }
};

}  // namespace

Value gather(const Value& table, const Value& index) { return apply(GatherOp(), {table, index}); }
Value scatter_add(const Value& g, const Value& index, std::int64_t rows) {
  return apply(ScatterAddOp(rows), {g, index});
}
Value one_hot(const Value& index, std::int64_t classes, DType dtype) {
  return apply(OneHotOp(classes, dtype), {index});
}

Value iota(std::int64_t n, DType dtype) {
  Array a(dtype, {n});
  for (std::int64_t i = 0; i < n; ++i) a.set_item(i, static_cast<double>(i));
  return constant(std::move(a));
}

}  // namespace descent
