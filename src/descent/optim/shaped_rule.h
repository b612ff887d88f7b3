// A rule whose state has shapes of its own: statistics of the rows and columns of a parameter.
#pragma once
#include "descent/optim/rule.h"

namespace descent::optim {

// As Rule, but for the state: a list for each parameter, in whose order Item::state stands. The
// names are those of the slots alone ("left").
struct ShapedRule {
  std::string name;
  std::function<std::vector<StateTensor>(const Parameter&)> state;
  std::vector<HostScalar> scalars;
  std::function<Value(const Item&)> update;
  std::int64_t variants = 1;
  std::function<std::int64_t(std::int64_t step)> variant = {};  // null: always 0
};
Optimizer per_parameter(ShapedRule rule);

// ---- a tensor seen along one of its axes ----

// The axes that hold more than one element.
std::vector<int> long_axes(const Shape& shape);
// Sums over the other axes: of the products of entries i and j [d, d], of the squares [d].
Value gram(const Value& x, int axis);
Value square_sums(const Value& x, int axis);
// sum_i m_ij x[.., i, ..] (with `transposed` sum_i m_ji x[.., i, ..]) in the place of the axis.
Value multiply_axis(const Value& m, const Value& x, int axis, bool transposed = false);
// A vector along the axis, to be broadcast against tensors of this rank.
Value along_axis(const Value& v, int axis, int rank);
// The entries of an axis in the order of `index`.
Value take(const Value& x, const Value& index, int axis);

}  // namespace descent::optim
