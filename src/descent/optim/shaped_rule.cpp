#include "descent/optim/shaped_rule.h"

#include <fmt/format.h>

#include <numeric>

#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

class PerParameterShaped final : public Transform {
 public:
  explicit PerParameterShaped(ShapedRule rule) : rule_(std::move(rule)) {}

  std::string name() const override { return rule_.name; }

  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    std::vector<StateTensor> all;
    for (const auto& p : parameters) {
      for (auto& tensor : rule_.state(p)) {
        tensor.name = fmt::format("{}.{}.{}", rule_.name, tensor.name, p.name);
        all.push_back(std::move(tensor));
      }
    }
    return all;
  }

  std::vector<HostScalar> scalars(DType) const override {
    auto all = rule_.scalars;
    for (auto& scalar : all) scalar.name = rule_.name + "." + scalar.name;
    return all;
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    std::size_t used = 0;
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const auto own = rule_.state(context.info[i]).size();
      updates[i] =
          rule_.update({updates[i], context.parameters[i], context.info[i],
                        std::span(state).subspan(used, own), context.scalars, context.variant});
      used += own;
    }
  }

  std::int64_t variants() const override { return rule_.variants; }
  std::int64_t variant(std::int64_t step) const override {
    return rule_.variant ? rule_.variant(step) : 0;
  }

 private:
  ShapedRule rule_;
};

// [outer, d, inner]
struct Split {
  std::int64_t outer = 1, d = 1, inner = 1;
};
Split split_at(const Shape& s, int axis) {
  Split parts{.d = s[axis]};
  for (int i = 0; i < s.rank(); ++i) {
    if (i < axis) parts.outer *= s[i];
    if (i > axis) parts.inner *= s[i];
  }
  return parts;
}

std::vector<int> others(const Value& x, int axis) {
  std::vector<int> axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis) axes.push_back(i);
  }
  return axes;
}

}  // namespace

Optimizer per_parameter(ShapedRule rule) {
  return std::make_shared<PerParameterShaped>(std::move(rule));
}

std::vector<int> long_axes(const Shape& shape) {
  std::vector<int> axes;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] > 1) axes.push_back(i);
  }
  return axes;
}

Value gram(const Value& x, int axis) {
  const auto [outer, d, inner] = split_at(x.shape(), axis);
  if (inner == 1) {
    const Value rows = reshape(x, {outer, d});
    return matmul(rows, rows, true, false);
  }
  const Value apart = outer == 1 ? x : transpose(reshape(x, {outer, d, inner}), {1, 0, 2});
  const Value columns = reshape(apart, {d, outer * inner});
  return matmul(columns, columns, false, true);
}

Value square_sums(const Value& x, int axis) {
  const auto axes = others(x, axis);
  return axes.empty() ? square(x) : sum(square(x), axes);
}

Value multiply_axis(const Value& m, const Value& x, int axis, bool transposed) {
  const auto [outer, d, inner] = split_at(x.shape(), axis);
  Shape shape = x.shape();
  shape[axis] = m.shape()[transposed ? 0 : 1];
  if (inner == 1) return reshape(matmul(reshape(x, {outer, d}), m, false, transposed), shape);
  const Value inside = reshape(x, outer == 1 ? Shape{d, inner} : Shape{outer, d, inner});
  return reshape(matmul(m, inside, !transposed, false), shape);
}

Value along_axis(const Value& v, int axis, int rank) {
  Shape shape{std::vector<std::int64_t>(static_cast<std::size_t>(rank), 1)};
  shape[axis] = v.shape()[0];
  return reshape(v, shape);
}

Value take(const Value& x, const Value& index, int axis) {
  if (axis == 0) return gather(x, index);
  std::vector<int> axes(static_cast<std::size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[0], axes[static_cast<std::size_t>(axis)]);
  return transpose(gather(transpose(x, axes), index), axes);
}

}  // namespace descent::optim
