#include "descent/optim/joint.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

class JointTransform final : public Transform {
 public:
  explicit JointTransform(JointRule rule) : rule_(std::move(rule)) {}

  std::string name() const override { return rule_.name; }

  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    std::vector<StateTensor> all;
    for (const auto& slot : rule_.slots) {
      for (const auto& p : parameters) {
        all.push_back(
            {fmt::format("{}.{}.{}", rule_.name, slot.name, p.name), p.type, slot.initial});
      }
    }
    const DType dtype = parameters.empty() ? DType::float32 : parameters.front().type.dtype;
    for (const auto& number : rule_.numbers) {
      all.push_back({fmt::format("{}.{}", rule_.name, number.name), {dtype, {}}, number.initial});
    }
    return all;
  }

  std::vector<HostScalar> scalars(DType) const override {
    auto all = rule_.scalars;
    for (auto& scalar : all) scalar.name = rule_.name + "." + scalar.name;
    return all;
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (!updates.empty()) rule_.update({updates, context, state});
  }

  std::int64_t variants() const override { return rule_.variants; }
  std::int64_t variant(std::int64_t step) const override {
    return rule_.variant ? rule_.variant(step) : 0;
  }

  Values averaged(ValueSpan parameters, ValueSpan state,
                  const std::vector<Parameter>&) const override {
    Values all;
    if (!rule_.averaged) return all;
    Values own(rule_.slots.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      for (std::size_t s = 0; s < own.size(); ++s) own[s] = state[s * parameters.size() + i];
      all.push_back(rule_.averaged(parameters[i], own));
    }
    return all;
  }

 private:
  JointRule rule_;
};

}  // namespace

Optimizer joint(JointRule rule) { return std::make_shared<JointTransform>(std::move(rule)); }

HostScalar first_step() {
  return {"first", [](std::int64_t step) { return step == 0 ? 1.0 : 0.0; }};
}

Value sum_of_squares(ValueSpan values) {
  Value total;
  for (const auto& v : values) total = total ? total + sum(square(v)) : sum(square(v));
  return total;
}

Value sum_of_products(ValueSpan a, ValueSpan b) {
  Value total;
  for (std::size_t i = 0; i < a.size(); ++i)
    total = total ? total + dot(a[i], b[i]) : dot(a[i], b[i]);
  return total;
}

}  // namespace descent::optim
