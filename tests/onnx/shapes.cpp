#include <algorithm>
#include <numeric>

#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

int axis_of(std::int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }

Values concatenate(const Node& n) {
  return {concat(n.values, axis_of(n.integer("axis", 0), n[0].rank()))};
}

Values slices(const Node& n) {
  if (n.inputs() < 3) throw Uncovered{"bounds as attributes"};
  const auto begins = n.integers_of(1), ends = n.integers_of(2);
  Value x = n[0];
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const int axis = n.has(3) ? axis_of(n.integers_of(3)[i], x.rank()) : static_cast<int>(i);
    const auto step = n.has(4) ? n.integers_of(4)[i] : 1, extent = x.shape()[axis];
    if (step < 1) throw Uncovered{"a negative step"};
    const auto inside = [&](std::int64_t k) {
      return std::clamp<std::int64_t>(k < 0 ? k + extent : k, 0, extent);
    };
    const auto begin = inside(begins[i]), end = inside(ends[i]);
    if (end <= begin) throw Uncovered{"an empty result"};
    x = slice(x, axis, begin, end, step);
  }
  return {x};
}

// Zeros, or another constant where a padded mask says so.
Values padded(const Node& n) {
  if (n.text("mode", "constant") != "constant") throw Uncovered{"padding by repetition"};
  const auto pads = n.integers_of(1);
  const auto around = [&](Value x) {
    const int rank = x.rank();
    for (int axis = 0; axis < rank; ++axis)
      x = pad(x, axis, pads[static_cast<std::size_t>(axis)],
              pads[static_cast<std::size_t>(axis + rank)]);
    return x;
  };
  const Value y = around(n[0]);
  if (!n.has(2)) return {y};
  return {where(around(ones_like(n[0])), y, broadcast_to(n[2], y.shape()))};
}

Values transposed(const Node& n) {
  const auto perm = n.integers("perm");
  return {transpose(n[0], std::vector<int>(perm.begin(), perm.end()))};
}

Values reshaped(const Node& n) {
  n.require("allowzero", 0);
  auto extents = n.integers_of(1);
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 0) extents[i] = n[0].shape()[static_cast<int>(i)];  // 0: as in the input
  }
  return {reshape(n[0], Shape(extents))};
}

Values flattened(const Node& n) {
  const int axis = axis_of(n.integer("axis", 1), n[0].rank());
  std::int64_t rows = 1;
  for (int i = 0; i < axis; ++i) rows *= n[0].shape()[i];
  return {reshape(n[0], {rows, -1})};
}

Values squeezed(const Node& n) {
  auto axes = n.has(1) ? n.integers_of(1) : n.integers("axes");
  for (auto& a : axes) a = axis_of(a, n[0].rank());
  std::ranges::sort(axes, std::greater<>());
  Value x = n[0];
  for (const auto a : axes) x = squeeze(x, static_cast<int>(a));
  return {x};
}

Values unsqueezed(const Node& n) {
  auto axes = n.has(1) ? n.integers_of(1) : n.integers("axes");
  for (auto& a : axes) a = axis_of(a, n[0].rank() + static_cast<int>(axes.size()));
  std::ranges::sort(axes);
  Value x = n[0];
  for (const auto a : axes) x = expand_dims(x, static_cast<int>(a));
  return {x};
}

Values expanded(const Node& n) {
  const Value ones = descent::ones_like(broadcast_to(scalar(1), Shape(n.integers_of(1))));
  return {n[0] * ones};  // either side may stretch
}

// Rows by index along any axis: the axis is brought to the front and back.
Values gathered(const Node& n) {
  if (!is_floating(n[0].dtype())) throw Uncovered{"a table of integers"};
  const int rank = n[0].rank(), axis = axis_of(n.integer("axis", 0), rank);
  std::vector<int> front{axis};
  for (int i = 0; i < rank; ++i)
    if (i != axis) front.push_back(i);
  const auto extent = n[0].shape()[axis];
  const Value raw = cast(n[1], DType::int64);
  const Value index = where(less(raw, zeros_like(raw)), raw + static_cast<double>(extent), raw);
  const Value rows = gather(transpose(n[0], front), index);  // [index..., others...]
  const int k = n[1].rank();
  std::vector<int> back;
  for (int i = 0; i < axis; ++i) back.push_back(k + i);
  for (int i = 0; i < k; ++i) back.push_back(i);
  for (int i = axis; i < rank - 1; ++i) back.push_back(k + i);
  return {transpose(rows, back)};
}

Values split(const Node& n) {
  const int axis = axis_of(n.integer("axis", 0), n[0].rank());
  auto extents = n.has(1) ? n.integers_of(1) : n.integers("split");
  const int parts = n.proto.output_size();
  if (extents.empty()) extents.assign(static_cast<std::size_t>(parts), n[0].shape()[axis] / parts);
  Values out;
  std::int64_t at = 0;
  for (const auto e : extents) {
    if (e == 0) throw Uncovered{"an empty result"};
    out.push_back(slice(n[0], axis, at, at + e));
    at += e;
  }
  return out;
}

}  // namespace

void add_shapes(Table& table) {
  table["Concat"] = concatenate;
  table["Slice"] = slices;
  table["Pad"] = padded;
  table["Transpose"] = transposed;
  table["Reshape"] = reshaped;
  table["Flatten"] = flattened;
  table["Squeeze"] = squeezed;
  table["Unsqueeze"] = unsqueezed;
  table["Expand"] = expanded;
  table["Gather"] = gathered;
  table["Split"] = split;
}

}  // namespace descent::onnx_test
