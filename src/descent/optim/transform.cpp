#include "descent/optim/transform.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

DType dtype_of_parameters(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? DType::float32 : parameters.front().type.dtype;
}

class Chain final : public Transform {
 public:
  explicit Chain(std::vector<Optimizer> links) : links_(std::move(links)) {}

  std::string name() const override { return "chain"; }

  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    std::vector<StateTensor> all;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      for (auto& tensor : links_[i]->state(parameters)) {
        tensor.name = fmt::format("{}.{}", i, tensor.name);
        all.push_back(std::move(tensor));
      }
    }
    return all;
  }

  std::vector<HostScalar> scalars(DType dtype) const override {
    std::vector<HostScalar> all;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      for (auto& scalar : links_[i]->scalars(dtype)) {
        scalar.name = fmt::format("{}.{}", i, scalar.name);
        all.push_back(std::move(scalar));
      }
    }
    return all;
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    std::size_t states = 0, scalars = 0;  // used up by the links before
    for (const auto& link : links_) {
      const auto own_states = link->state(context.info).size();
      const auto own_scalars = link->scalars(dtype_of_parameters(context.info)).size();
      const auto first = state.begin() + static_cast<std::ptrdiff_t>(states);
      Values own(first, first + static_cast<std::ptrdiff_t>(own_states));
      link->update(
          updates, own,
          {context.parameters, context.info, context.scalars.subspan(scalars, own_scalars)});
      std::copy(own.begin(), own.end(), first);
      states += own_states;
      scalars += own_scalars;
    }
  }

 private:
  std::vector<Optimizer> links_;
};

// State is ordered by slot, then by parameter: all first moments, then all second moments.
class PerParameter final : public Transform {
 public:
  explicit PerParameter(Rule rule) : rule_(std::move(rule)) {}

  std::string name() const override { return rule_.name; }

  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    std::vector<StateTensor> all;
    for (const auto& slot : rule_.slots) {
      for (const auto& p : parameters) {
        all.push_back(
            {fmt::format("{}.{}.{}", rule_.name, slot.name, p.name), p.type, slot.initial});
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
    const auto slots = rule_.slots.size(), n = updates.size();
    Values own(slots);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t s = 0; s < slots; ++s) own[s] = state[s * n + i];
      updates[i] =
          rule_.update({updates[i], context.parameters[i], context.info[i], own, context.scalars});
      for (std::size_t s = 0; s < slots; ++s) state[s * n + i] = own[s];
    }
  }

 private:
  Rule rule_;
};

void expect_count(const char* what, std::size_t expected, std::size_t got) {
  if (expected == got) return;
  throw Error(ErrorKind::internal,
              fmt::format("apply_optimizer: {} {} expected, {} given", expected, what, got));
}

}  // namespace

Optimizer chain(std::vector<Optimizer> transforms) {
  for (const auto& transform : transforms) {
    if (!transform) throw Error(ErrorKind::usage, "chain: a transformation is null");
  }
  return std::make_shared<Chain>(std::move(transforms));
}

Optimizer per_parameter(Rule rule) { return std::make_shared<PerParameter>(std::move(rule)); }

Updated apply_optimizer(const Optimizer& optimizer, const std::vector<Parameter>& info,
                        ValueSpan parameters, ValueSpan gradients, ValueSpan state,
                        ValueSpan scalars) {
  expect_count("parameters", info.size(), parameters.size());
  expect_count("gradients", info.size(), gradients.size());
  expect_count("state tensors", optimizer->state(info).size(), state.size());
  expect_count("host scalars", optimizer->scalars(dtype_of_parameters(info)).size(),
               scalars.size());

  Values updates(gradients.begin(), gradients.end());
  Updated out{.parameters = {}, .state = Values(state.begin(), state.end())};
  optimizer->update(updates, out.state, {parameters, info, scalars});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    out.parameters.push_back(parameters[i] + updates[i]);
  }
  return out;
}

}  // namespace descent::optim
