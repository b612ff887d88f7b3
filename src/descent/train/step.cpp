#include "descent/train/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "descent/autodiff/autodiff.h"
#include "descent/ir/graph.h"
#include "descent/ir/op.h"
#include "descent/ops/ops.h"

namespace descent::train {
namespace {

PlanInput batch_input(const Array& a, int shards, const char* name) {
  Shape s = a.shape();
  s[0] /= shards;
  return {{a.dtype(), s, true}, name, {}};
}

std::optional<std::size_t> place_of(const std::vector<nn::Variable>& variables,
                                    const std::string& name) {
  const auto found = std::ranges::find(variables, name, &nn::Variable::name);
  if (found == variables.end()) return {};
  return static_cast<std::size_t>(found - variables.begin());
}

// {loss, gradients...}; those of sparse tables with respect to the rows that the loss looks up.
Values loss_and_gradients(const ScalarFn& loss, ValueSpan parameters,
                          const std::map<std::size_t, optim::LazyRows::Looked>& looked) {
  Values wanted;
  for (const auto& v : parameters) wanted.push_back(identity(v));
  const Value result = loss(wanted);
  for (const auto& [at, table] : looked) wanted[at] = table.slots[0];
  Values all{result};
  for (auto& g : gradients(Values{result}, wanted, Values{ones_like(result)}))
    all.push_back(std::move(g));
  return all;
}

void fill(const Array& to, const Array& from) { std::memcpy(to.raw(), from.raw(), from.bytes()); }

}  // namespace

nn::Scope bind_scope(const std::vector<nn::Variable>& variables, ValueSpan values, bool training,
                     const Value& key, const StepOptions& options) {
  std::map<std::string, Value> bound;
  for (std::size_t i = 0; i < variables.size(); ++i) bound[variables[i].name] = values[i];
  nn::Scope scope(std::move(bound), training, key, options.dtype);
  scope.rematerialise = training && options.rematerialise;
  scope.compute = options.mixed ? DType::bfloat16 : options.dtype;
  return scope;
}

Guard guard(const optim::Optimizer& optimizer, ValueSpan state,
            const std::vector<optim::Parameter>& info, const Value& loss,
            const Value& gradient_norm) {
  const Value finite = is_finite(loss + gradient_norm);
  if (!optimizer->searches()) return {finite, finite, loss, gradient_norm};
  const auto accepted = optimizer->accepted(state, info);
  const Value back = accepted.known * (1.0 - finite);
  return {finite, maximum(finite, accepted.known), select(back, accepted.loss, loss),
          select(back, accepted.gradient_norm, gradient_norm)};
}

int shards_for(std::int64_t rows, int shards) {
  for (int s = shards; s > 1; --s) {
    if (rows % s == 0) return s;
  }
  return 1;
}

bool TrainStep::Result::finite() const {
  return std::isfinite(loss) && std::isfinite(gradient_norm);
}

nn::Tree TrainStep::initial_state(const optim::Optimizer& optimizer,
                                  const std::vector<nn::Variable>& variables, DType dtype) {
  (void)dtype;
  std::vector<optim::Parameter> info;
  for (const auto& v : variables) {
    if (v.trained) info.push_back({v.name, v.type, v.decay});
  }
  nn::Tree tree;
  for (const auto& tensor : optimizer->state(info)) {
    Array a(tensor.type.dtype, tensor.type.shape);
    for (std::int64_t i = 0; tensor.initial != 0 && i < a.size(); ++i)
      a.set_item(i, tensor.initial);
    tree.emplace_back(tensor.name, std::move(a));
  }
  return tree;
}

TrainStep::TrainStep(const nn::Layer& model, const nn::Loss& loss,
                     const optim::Optimizer& optimizer, const std::vector<nn::Variable>& variables,
                     TrainState& state, StepOptions options)
    : model_(model),
      loss_(loss),
      optimizer_(optimizer),
      lazy_(optim::as_lazy_rows(optimizer)),
      key_(DType::int64, {}),
      state_(state),
      options_(std::move(options)) {
  for (const auto& v : variables) {
    (v.trained ? trained_ : kept_).push_back(v);
    if (v.trained) info_.push_back({v.name, v.type, v.decay});
  }
  scalars_ = optimizer_->scalars(options_.dtype);
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    scalar_arrays_.emplace_back(options_.dtype, Shape{});
}

// Inputs: parameters, buffers, optimizer state, host scalars, key, features, targets[, weights].
// Outputs: new parameters, buffers, state, then loss and gradient norm[, what a probe wants].
Values TrainStep::trace(ValueSpan in, const PlanKey& plan, Probe* probe) const {
  const std::size_t p = trained_.size(), b = kept_.size(), s = state_.optimizer.size(),
                    h = scalars_.size();
  const ValueSpan parameters = in.first(p), buffers = in.subspan(p, b),
                  state = in.subspan(p + b, s), scalars = in.subspan(p + b + s, h);
  const Value &key = in[p + b + s + h], &x = in[p + b + s + h + 1], &y = in[p + b + s + h + 2];
  const Value w = plan.weighted ? in[p + b + s + h + 3] : Value();
  StepOptions options = options_;
  options.rematerialise = plan.rematerialise;
  std::map<std::string, Value> updated;
  std::vector<nn::LayerOutput> layers;
  std::map<std::size_t, optim::LazyRows::Looked> looked;  // of sparse tables, by parameter
  Value prediction;                                       // of the latest pass
  const auto loss_at = [&](ValueSpan theta, std::map<std::string, Value>* updates) {
    std::vector<nn::Variable> all = trained_;
    all.insert(all.end(), kept_.begin(), kept_.end());
    Values values(theta.begin(), theta.end());
    values.insert(values.end(), buffers.begin(), buffers.end());
    nn::Scope scope = bind_scope(all, values, true, key, options);
    if (probe != nullptr && updates != nullptr) scope.outputs = &layers;
    if (lazy_ != nullptr) {
      scope.look_up = [&](const std::string& name, const Value& index) -> Value {
        const auto at = place_of(trained_, name);
        if (!at) return {};  // frozen
        auto& rows = looked[*at] =
            lazy_->look_up(*at, index, plan.rows / x.shape()[0], parameters, state);
        rows.slots[0] = identity(rows.slots[0]);  // what is differentiated with respect to
        return gather(rows.slots[0], rows.places);
      };
    }
    prediction = (*model_)(scope, x);
    const Value result = loss_(prediction, y, w);
    if (updates != nullptr) *updates = scope.updated();
    return result;
  };
  const Values g = loss_and_gradients([&](ValueSpan theta) { return loss_at(theta, &updated); },
                                      parameters, looked);
  const ValueSpan gradients = ValueSpan(g).subspan(1);
  const Value own = prediction;  // before an optimizer looks at other weights
  Value square_sum = scalar(0, options_.dtype);
  for (const auto& v : gradients) square_sum = square_sum + sum(square(v));
  const Value norm = sqrt(square_sum);
  // Running statistics see the first pass alone.
  const ScalarFn again = [&](ValueSpan theta) { return loss_at(theta, nullptr); };
  std::function<Value()> sampled_loss;
  if (loss_.sample) {
    sampled_loss = [&] {
      const NameScope scope("sampled_targets");
      return loss_(own, loss_.sample(own, key), w);
    };
  }
  // A probe is shown whole tables as they would be without laziness.
  Values seen(parameters.begin(), parameters.end());
  if (lazy_ != nullptr && probe != nullptr) seen = lazy_->averaged(parameters, state, info_);
  const optim::UpdateContext context{
      .parameters = parameters,
      .info = info_,
      .scalars = scalars,
      .variant = plan.variant,
      .loss = g[0],
      .key = key,
      .gradient_at = [&](ValueSpan theta) { return grad(again)(theta); },
      .hessian_product = [&](ValueSpan v) { return hvp(again, parameters, v); },
      .sampled_loss = sampled_loss};
  optim::Updated next;
  if (lazy_ == nullptr) next = optim::apply_optimizer(optimizer_, gradients, state, context);
  const Guard good = guard(optimizer_, state, info_, g[0], norm);
  if (lazy_ != nullptr) next = lazy_->apply(gradients, state, context, looked, good.kept);
  const auto guarded = [&](const Value& now, const Value& before) {
    return lazy_ != nullptr ? now : select(good.kept, now, before);
  };
  Values out;
  for (std::size_t i = 0; i < p; ++i) out.push_back(guarded(next.parameters[i], parameters[i]));
  for (std::size_t i = 0; i < b; ++i) {
    const auto it = updated.find(kept_[i].name);
    out.push_back(it == updated.end() ? buffers[i] : select(good.finite, it->second, buffers[i]));
  }
  for (std::size_t i = 0; i < s; ++i) out.push_back(guarded(next.state[i], state[i]));
  out.push_back(good.loss);
  out.push_back(good.gradient_norm);
  if (probe == nullptr) return out;
  if (lazy_ != nullptr) next.parameters = lazy_->averaged(next.parameters, next.state, info_);
  for (auto& v : probe->outputs({.parameters = seen,
                 .gradients = gradients,
                 .next = next.parameters,
                 .layers = layers,
                 .prediction = own}))
    out.push_back(std::move(v));
  return out;
}

std::vector<PlanInput> TrainStep::inputs(const data::Batch& batch, int shards) const {
  std::vector<PlanInput> in;
  for (const auto* tree : {&state_.parameters, &state_.buffers, &state_.optimizer}) {
    for (const auto& [name, array] : *tree)
      in.push_back({{array.dtype(), array.shape(), false}, name, array});
  }
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    in.push_back({{options_.dtype, {}, false}, scalars_[i].name, scalar_arrays_[i]});
  in.push_back({{DType::int64, {}, false}, "key", key_});
  in.push_back(batch_input(batch.features, shards, "features"));
  in.push_back(batch_input(batch.targets, shards, "targets"));
  if (batch.weights) in.push_back(batch_input(batch.weights, shards, "weights"));
  return in;
}

TrainStep::PlanKey TrainStep::key_for(const data::Batch& batch, bool observed) const {
  return {batch.rows, static_cast<bool>(batch.weights), optimizer_->variant(state_.step),
          options_.rematerialise, observed};
}

Plan TrainStep::compiled(const data::Batch& batch, const PlanKey& key, Probe* probe) const {
  CompileOptions options;
  options.shards = shards_for(batch.rows, options_.shards);
  options.pool = options_.pool;
  options.without = options_.without_passes;
  options.profile = options_.profile;
  const auto n =
      static_cast<int>(state_.parameters.size() + state_.buffers.size() + state_.optimizer.size());
  for (int i = 0; i < n; ++i) options.donate[i] = i;
  return compile([&](ValueSpan in) { return trace(in, key, probe); }, inputs(batch, options.shards),
                 options);
}

const Plan& TrainStep::plan(const data::Batch& batch) { return plan_of(batch, key_for(batch)); }

const Plan& TrainStep::plan_of(const data::Batch& batch, const PlanKey& key) {
  Plan& plan = plans_[key];
  if (!plan) plan = compiled(batch, key, key.observed ? &probe_ : nullptr);
  return plan;
}

PlanStatistics TrainStep::statistics_of(const data::Batch& batch, bool rematerialise) const {
  auto key = key_for(batch);
  key.rematerialise = rematerialise;
  return compiled(batch, key).statistics();
}

const Plan& TrainStep::largest_plan() const {
  auto at = plans_.rbegin();
  while (at->first.observed && std::next(at) != plans_.rend()) ++at;
  return at->second;
}

void TrainStep::set_host_values() {
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    scalar_arrays_[i].set_item(0, scalars_[i].at(state_.step));
  const auto key = fold_in(fold_in(static_cast<std::uint64_t>(state_.seed), hash_text("step")),
                           static_cast<std::uint64_t>(state_.step));
  key_.as<std::int64_t>()[0] = static_cast<std::int64_t>(key);
}

TrainStep::Result TrainStep::run(const data::Batch& batch, Observation* seen) {
  Plan p = plan_of(batch, key_for(batch, seen != nullptr));
  set_host_values();
  const int state =
      static_cast<int>(state_.parameters.size() + state_.buffers.size() + state_.optimizer.size());
  const int first = state + static_cast<int>(scalars_.size()) + 1;
  fill(p.input(first), batch.features);
  fill(p.input(first + 1), batch.targets);
  if (batch.weights) fill(p.input(first + 2), batch.weights);
  p.run();
  const Result result{p.output(state).item(), p.output(state + 1).item()};
  if (seen != nullptr) {
    std::vector<double> values;
    for (int i = state + 2; i < p.outputs(); ++i) values.push_back(p.output(i).item());
    *seen = probe_.read(info_, values);
    seen->rows = batch.rows;
  }
  if (result.finite()) ++state_.step;
  return result;
}

Values TrainStep::eager_inputs(const data::Batch& batch, int shards) const {
  Values in;
  for (const auto& i : inputs(batch, shards)) {
    if (!i.type.per_shard) {
      in.push_back(computed({i.storage}, false));
      continue;
    }
    const Array& whole = i.name == "features"  ? batch.features
                         : i.name == "targets" ? batch.targets
                                               : batch.weights;
    std::vector<Array> parts;
    for (int s = 0; s < shards; ++s)
      parts.push_back(whole.rows(s * i.type.shape[0], (s + 1) * i.type.shape[0]));
    in.push_back(computed(std::move(parts), true));
  }
  return in;
}

TrainStep::Result TrainStep::run_eagerly(const data::Batch& batch, Observation* seen) {
  const int shards = shards_for(batch.rows, options_.shards);
  set_host_values();
  const EagerScope scope({.shards = shards, .check_finite = true});
  const PlanKey key = key_for(batch, seen != nullptr);
  const Values out = trace(eager_inputs(batch, shards), key, seen != nullptr ? &probe_ : nullptr);
  const std::size_t state =
      state_.parameters.size() + state_.buffers.size() + state_.optimizer.size();
  if (seen != nullptr) {
    std::vector<double> values;
    for (std::size_t i = state + 2; i < out.size(); ++i) values.push_back(out[i].item());
    *seen = probe_.read(info_, values);
    seen->rows = batch.rows;
  }
  std::size_t at = 0;
  for (auto* tree : {&state_.parameters, &state_.buffers, &state_.optimizer}) {
    for (auto& [name, array] : *tree) fill(array, out[at++].array());
  }
  ++state_.step;
  return {out[state].item(), out[state + 1].item()};
}

TrainStep::Result TrainStep::check(const data::Batch& batch) {
  const int shards = shards_for(batch.rows, options_.shards);
  set_host_values();
  const EagerScope scope({.shards = shards, .check_finite = true});
  const Values out = trace(eager_inputs(batch, shards), key_for(batch));
  return {out[out.size() - 2].item(), out.back().item()};
}

std::vector<ValueRange> TrainStep::ranges(const data::Batch& batch) {
  const int shards = shards_for(batch.rows, options_.shards);
  set_host_values();
  const EagerScope scope({.shards = shards, .check_finite = false});
  RangeProbe probe(shards);
  trace(eager_inputs(batch, shards), key_for(batch), &probe);
  std::vector<ValueRange> all = probe.layers();
  for (std::size_t i = 0; i < info_.size(); ++i) {
    all.push_back(probe.gradient(i));
    all.back().name = info_[i].name;
  }
  return all;
}

double TrainStep::flops(const data::Batch& batch) const {
  Values in;
  for (const auto& i : inputs(batch, 1)) in.push_back(input(i.type, i.name));
  double total = 0;
  const Values out = trace(in, key_for(batch));
  for (const Node* node : topological(out)) {
    std::vector<Type> types;
    for (const auto& v : node->inputs) types.push_back(v.type());
    total += node->op->flops(types, node->outputs);
  }
  return total;
}

EvalStep::EvalStep(const nn::Layer& model, const nn::Loss& loss,
                   const std::vector<nn::Variable>& variables, const nn::Tree& parameters,
                   const nn::Tree& buffers, StepOptions options, Summary summary)
    : model_(model), loss_(loss), options_(std::move(options)), summary_(std::move(summary)) {
  // In the order of the values: parameters, then buffers.
  for (const bool trained : {true, false}) {
    for (const auto& v : variables) {
      if (v.trained == trained) variables_.push_back(v);
    }
    for (const auto& [name, array] : trained ? parameters : buffers)
      bound_.push_back({{array.dtype(), array.shape(), false}, name, array});
  }
}

EvalStep::Result EvalStep::run(const data::Batch& batch) {
  const bool targets = batch.targets && batch.targets.size() > 0;
  const bool weights = targets && batch.weights;
  Plan& plan = plans_[{batch.rows, (targets ? 1 : 0) + (weights ? 2 : 0)}];
  const int n = static_cast<int>(bound_.size());
  if (!plan) {
    const int shards = shards_for(batch.rows, options_.shards);
    auto in = bound_;
    in.push_back(batch_input(batch.features, shards, "features"));
    if (targets) in.push_back(batch_input(batch.targets, shards, "targets"));
    if (weights) in.push_back(batch_input(batch.weights, shards, "weights"));
    plan = compile(
        [&](ValueSpan v) {
          nn::Scope scope =
              bind_scope(variables_, v.first(static_cast<std::size_t>(n)), false, {}, options_);
          const Value y = (*model_)(scope, v[static_cast<std::size_t>(n)]);
          if (!targets) return Values{y};
          const Value& t = v[static_cast<std::size_t>(n) + 1];
          const Value losses = loss_.rows(y, t);
          Value w = loss_.row_weights ? loss_.row_weights(t, losses.dtype()) : Value();
          if (weights)
            w = w ? w * v[static_cast<std::size_t>(n) + 2] : v[static_cast<std::size_t>(n) + 2];
          return Values{summary_ ? summary_(y, t) : y, losses, w ? w : ones_like(losses)};
        },
        in, {.shards = shards, .pool = options_.pool, .without = options_.without_passes});
  }
  fill(plan.input(n), batch.features);
  if (targets) fill(plan.input(n + 1), batch.targets);
  if (weights) fill(plan.input(n + 2), batch.weights);
  plan.run();
  return {plan.output(0), targets ? plan.output(1) : Array(), targets ? plan.output(2) : Array()};
}

}  // namespace descent::train
