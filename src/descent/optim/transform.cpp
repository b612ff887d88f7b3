#include "descent/optim/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

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
    std::int64_t variant = context.variant;
    for (const auto& link : links_) {
      const auto own_states = link->state(context.info).size();
      const auto own_scalars = link->scalars(dtype_of_parameters(context.info)).size();
      const auto first = state.begin() + static_cast<std::ptrdiff_t>(states);
      Values own(first, first + static_cast<std::ptrdiff_t>(own_states));
      UpdateContext inner = context;
      inner.scalars = context.scalars.subspan(scalars, own_scalars);
      inner.variant = variant % link->variants();
      variant /= link->variants();
      link->update(updates, own, inner);
      std::copy(own.begin(), own.end(), first);
      states += own_states;
      scalars += own_scalars;
    }
  }

  std::int64_t variants() const override { return count_variants(links_); }
  std::int64_t variant(std::int64_t step) const override { return joint_variant(links_, step); }

  Batches batches() const override {
    auto most = Batches::any;
    for (const auto& link : links_) most = std::max(most, link->batches());
    return most;
  }

  bool searches() const override { return !links_.empty() && links_.back()->searches(); }
  Accepted accepted(ValueSpan state, const std::vector<Parameter>& info) const override {
    const auto own = links_.back()->state(info).size();
    return links_.back()->accepted(state.last(own), info);
  }

  // The last link that keeps an average has the last word; one may average what another did.
  Values averaged(ValueSpan parameters, ValueSpan state,
                  const std::vector<Parameter>& info) const override {
    Values result;
    std::size_t states = 0;
    for (const auto& link : links_) {
      const auto own = link->state(info).size();
      auto next = link->averaged(result.empty() ? parameters : ValueSpan(result),
                                 state.subspan(states, own), info);
      if (!next.empty()) result = std::move(next);
      states += own;
    }
    return result;
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
    const auto places = places_of(parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& p = parameters[i];
      const auto slots = slots_of(p);
      all.resize(std::max(all.size(), places[i].empty() ? 0 : places[i].back() + 1));
      for (std::size_t s = 0; s < slots.size(); ++s) {
        all[places[i][s]] = {.name = fmt::format("{}.{}.{}", rule_.name, slots[s].name, p.name),
                             .type = {p.type.dtype, slots[s].shape.value_or(p.type.shape)},
                             .initial = slots[s].initial};
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
    const auto places = places_of(context.info);
    for (std::size_t i = 0; i < updates.size(); ++i) {
      Values own;
      for (const auto place : places[i]) own.push_back(state[place]);
      updates[i] = rule_.update({updates[i], context.parameters[i], context.info[i], own,
                                 context.scalars, context.variant});
      for (std::size_t s = 0; s < own.size(); ++s) state[places[i][s]] = own[s];
    }
  }

  Values averaged(ValueSpan, ValueSpan state, const std::vector<Parameter>& info) const override {
    Values all;
    if (!rule_.averaged) return all;
    for (const auto& places : places_of(info)) all.push_back(state[places.at(*rule_.averaged)]);
    return all;
  }

  std::int64_t variants() const override { return rule_.variants; }
  std::int64_t variant(std::int64_t step) const override {
    return rule_.variant ? rule_.variant(step) : 0;
  }

 private:
  std::vector<Rule::Slot> slots_of(const Parameter& parameter) const {
    return rule_.slots_of ? rule_.slots_of(parameter) : rule_.slots;
  }

  // Where in the state each parameter has its slots.
  std::vector<std::vector<std::size_t>> places_of(const std::vector<Parameter>& parameters) const {
    std::vector<std::size_t> counts;
    for (const auto& p : parameters) counts.push_back(slots_of(p).size());
    std::vector<std::vector<std::size_t>> places(parameters.size());
    std::size_t next = 0;
    for (std::size_t s = 0; next < std::accumulate(counts.begin(), counts.end(), std::size_t{0});
         ++s) {
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (s < counts[i]) places[i].push_back(next++);
      }
    }
    return places;
  }

  Rule rule_;
};

void expect_count(const char* what, std::size_t expected, std::size_t got) {
  if (expected == got) return;
  throw Error(ErrorKind::internal,
              fmt::format("apply_optimizer: {} {} expected, {} given", expected, what, got));
}

template <class T>
const T& required(const T& what, const char* name, const std::string& who) {
  if (what) return what;
  throw Error(ErrorKind::usage, fmt::format("{} needs {}, which is not known here", who, name), who,
              "use it where a model is trained on batches, not on gradients that are fed");
}

}  // namespace

std::int64_t count_variants(const std::vector<Optimizer>& transforms) {
  std::int64_t product = 1;
  for (const auto& transform : transforms) product *= transform->variants();
  return product;
}

std::int64_t joint_variant(const std::vector<Optimizer>& transforms, std::int64_t step) {
  std::int64_t all = 0, place = 1;
  for (const auto& transform : transforms) {
    all += place * transform->variant(step);
    place *= transform->variants();
  }
  return all;
}

const Value& loss_of(const UpdateContext& context, const std::string& who) {
  return required(context.loss, "the loss of the step", who);
}

const Value& key_of(const UpdateContext& context, const std::string& who) {
  return required(context.key, "a random key", who);
}

Values gradient_at(const UpdateContext& context, ValueSpan parameters, const std::string& who) {
  return required(context.gradient_at, "gradients at other parameters", who)(parameters);
}

Values hessian_product(const UpdateContext& context, ValueSpan v, const std::string& who) {
  return required(context.hessian_product, "Hessian-vector products", who)(v);
}

Optimizer chain(std::vector<Optimizer> transforms) {
  for (const auto& transform : transforms) {
    if (!transform) throw Error(ErrorKind::usage, "chain: a transformation is null");
    if (transform->searches() && transform != transforms.back()) {
      throw Error(ErrorKind::usage, "chain: nothing may follow a search", transform->name());
    }
  }
  return std::make_shared<Chain>(std::move(transforms));
}

Optimizer per_parameter(Rule rule) { return std::make_shared<PerParameter>(std::move(rule)); }

Updated apply_optimizer(const Optimizer& optimizer, const std::vector<Parameter>& info,
                        ValueSpan parameters, ValueSpan gradients, ValueSpan state,
                        ValueSpan scalars) {
  return apply_optimizer(optimizer, gradients, state, {parameters, info, scalars});
}

Updated apply_optimizer(const Optimizer& optimizer, ValueSpan gradients, ValueSpan state,
                        const UpdateContext& context) {
  const auto& info = context.info;
  expect_count("parameters", info.size(), context.parameters.size());
  expect_count("gradients", info.size(), gradients.size());
  expect_count("state tensors", optimizer->state(info).size(), state.size());
  expect_count("host scalars", optimizer->scalars(dtype_of_parameters(info)).size(),
               context.scalars.size());

  Values updates(gradients.begin(), gradients.end());
  Updated out{.parameters = {}, .state = Values(state.begin(), state.end())};
  optimizer->update(updates, out.state, context);
  for (std::size_t i = 0; i < info.size(); ++i) {
    out.parameters.push_back(optimizer->searches() ? updates[i]
                                                   : context.parameters[i] + updates[i]);
  }
  return out;
}

}  // namespace descent::optim
