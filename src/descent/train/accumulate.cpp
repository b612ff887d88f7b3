#include "descent/train/accumulate.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "descent/autodiff/autodiff.h"
#include "descent/base/error.h"
#include "descent/ops/ops.h"

namespace descent::train {
namespace {

void fill(const Array& to, const Array& from) { std::memcpy(to.raw(), from.raw(), from.bytes()); }

PlanInput batch_input(const Array& a, int shards, const char* name) {
  Shape s = a.shape();
  s[0] /= shards;
  return {{a.dtype(), s, true}, name, {}};
}

// What Loss divides by.
Value sum_of_weights(const nn::Loss& loss, const Value& target, const Value& weight,
                     std::int64_t rows, DType dtype) {
  Value w = loss.row_weights ? loss.row_weights(target, dtype) : Value();
  if (weight) w = w ? w * weight : weight;
  return w ? batch_sum(w) : scalar(static_cast<double>(rows), dtype);
}

}  // namespace

AccumulatedStep::AccumulatedStep(const nn::Layer& model, const nn::Loss& loss,
                                 const optim::Optimizer& optimizer,
                                 const std::vector<nn::Variable>& variables, TrainState& state,
                                 StepOptions options, std::int64_t count)
    : model_(model),
      loss_(loss),
      optimizer_(optimizer),
      key_(DType::int64, {}),
      state_(state),
      options_(std::move(options)),
      count_(count),
      buffers_(clone(state.buffers)) {
  for (const bool trained : {true, false}) {
    for (const auto& v : variables) {
      if (v.trained == trained) all_.push_back(v);
      if (trained && v.trained) info_.push_back({v.name, v.type, v.decay});
    }
  }
  for (const auto& [name, array] : state_.parameters)
    sums_.emplace_back("sum/" + name, Array(array.dtype(), array.shape()));
  for (const char* name : {"sum of weights", "sum of losses"})
    sums_.emplace_back(name, Array(options_.dtype, Shape{}));
  scalars_ = optimizer_->scalars(options_.dtype);
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    scalar_arrays_.emplace_back(options_.dtype, Shape{});
}

// Inputs: sums, buffers, parameters, key, features, targets[, weights].
// Outputs: new sums, buffers, then loss and gradient norm of the batch.
Values AccumulatedStep::trace_batch(ValueSpan in, bool weighted, std::int64_t rows) const {
  const std::size_t p = info_.size(), b = buffers_.size();
  const ValueSpan sums = in.first(p + 2), buffers = in.subspan(p + 2, b),
                  parameters = in.subspan(p + 2 + b, p), rest = in.subspan(p + 2 + b + p);
  const Value &key = rest[0], &x = rest[1], &y = rest[2];
  const Value w = weighted ? rest[3] : Value();
  std::map<std::string, Value> updated;
  const Values g = value_and_grad([&](ValueSpan theta) {
    Values values(theta.begin(), theta.end());
    values.insert(values.end(), buffers.begin(), buffers.end());
    nn::Scope scope = bind_scope(all_, values, true, key, options_);
    const Value result = loss_((*model_)(scope, x), y, w);
    updated = scope.updated();
    return result;
  })(parameters);
  const Value weight = sum_of_weights(loss_, y, w, rows, options_.dtype);
  Value squares = scalar(0, options_.dtype);
  Values out;
  for (std::size_t i = 0; i < p; ++i) {
    squares = squares + sum(square(g[i + 1]));
    out.push_back(sums[i] + weight * g[i + 1]);
  }
  out.push_back(sums[p] + weight);
  out.push_back(sums[p + 1] + weight * g[0]);
  for (std::size_t i = 0; i < b; ++i) {
    const auto it = updated.find(all_[p + i].name);
    out.push_back(it == updated.end() ? buffers[i] : it->second);
  }
  out.push_back(g[0]);
  out.push_back(sqrt(squares));
  return out;
}

// Inputs: parameters, optimizer state, host scalars, key, sums.
// Outputs: new parameters, state, then loss and gradient norm of the mean.
Values AccumulatedStep::trace_update(ValueSpan in, std::int64_t variant) const {
  const std::size_t p = info_.size(), s = state_.optimizer.size(), h = scalars_.size();
  const ValueSpan parameters = in.first(p), state = in.subspan(p, s),
                  scalars = in.subspan(p + s, h), sums = in.subspan(p + s + h + 1);
  const Value& key = in[p + s + h];
  // Where all rows have weight zero, the mean is 0, as Loss has it.
  const Value total = sums[p] + equal_mask(sums[p], zeros_like(sums[p]));
  Values gradients;
  Value squares = scalar(0, options_.dtype);
  for (std::size_t i = 0; i < p; ++i) {
    gradients.push_back(sums[i] / total);
    squares = squares + sum(square(gradients.back()));
  }
  const Value loss = sums[p + 1] / total, norm = sqrt(squares);
  const optim::Updated next = optim::apply_optimizer(optimizer_, gradients, state,
                                                     {.parameters = parameters,
                                                      .info = info_,
                                                      .scalars = scalars,
                                                      .variant = variant,
                                                      .loss = loss,
                                                      .key = key});
  const Guard good = guard(optimizer_, state, info_, loss, norm);
  Values out;
  for (std::size_t i = 0; i < p; ++i)
    out.push_back(select(good.kept, next.parameters[i], parameters[i]));
  for (std::size_t i = 0; i < s; ++i) out.push_back(select(good.kept, next.state[i], state[i]));
  out.push_back(good.loss);
  out.push_back(good.gradient_norm);
  return out;
}

std::vector<PlanInput> AccumulatedStep::bound(const std::vector<const nn::Tree*>& trees) const {
  std::vector<PlanInput> in;
  for (const auto* tree : trees) {
    for (const auto& [name, array] : *tree)
      in.push_back({{array.dtype(), array.shape(), false}, name, array});
  }
  return in;
}

CompileOptions AccumulatedStep::compile_options(int shards, std::size_t donated) const {
  CompileOptions options;
  options.shards = shards;
  options.pool = options_.pool;
  options.without = options_.without_passes;
  for (int i = 0; i < static_cast<int>(donated); ++i) options.donate[i] = i;
  return options;
}

Plan& AccumulatedStep::batch_plan(const data::Batch& batch) {
  const bool weighted = static_cast<bool>(batch.weights);
  Plan& plan = batch_plans_[{batch.rows, weighted}];
  if (plan) return plan;
  const int shards = shards_for(batch.rows, options_.shards);
  auto in = bound({&sums_, &state_.buffers, &state_.parameters});
  in.push_back({{DType::int64, {}, false}, "key", key_});
  in.push_back(batch_input(batch.features, shards, "features"));
  in.push_back(batch_input(batch.targets, shards, "targets"));
  if (weighted) in.push_back(batch_input(batch.weights, shards, "weights"));
  plan = compile([&](ValueSpan v) { return trace_batch(v, weighted, batch.rows); }, in,
                 compile_options(shards, sums_.size() + state_.buffers.size()));
  return plan;
}

Plan& AccumulatedStep::update_plan() {
  const std::int64_t variant = optimizer_->variant(state_.step);
  Plan& plan = update_plans_[variant];
  if (plan) return plan;
  auto in = bound({&state_.parameters, &state_.optimizer});
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    in.push_back({{options_.dtype, {}, false}, scalars_[i].name, scalar_arrays_[i]});
  in.push_back({{DType::int64, {}, false}, "key", key_});
  for (auto& sum : bound({&sums_})) in.push_back(std::move(sum));
  try {
    plan = compile([&](ValueSpan v) { return trace_update(v, variant); }, in,
                   compile_options(1, state_.parameters.size() + state_.optimizer.size()));
  } catch (const Error& e) {
    // An optimizer that differentiates the loss itself (SAM, Sophia): there is no one batch.
    if (e.kind() != ErrorKind::usage) throw;
    throw Error(e.kind(), e.message(), e.where(),
                "leave out train.accumulate, or take another "
                "optimizer");
  }
  return plan;
}

bool AccumulatedStep::add(const data::Batch& batch, std::int64_t index) {
  // The first batch's key is that of TrainStep: an update of one batch is the same update.
  auto key = fold_in(fold_in(static_cast<std::uint64_t>(state_.seed), hash_text("step")),
                     static_cast<std::uint64_t>(state_.step));
  if (index > 0) key = fold_in(key, static_cast<std::uint64_t>(index));
  key_.as<std::int64_t>()[0] = static_cast<std::int64_t>(key);
  Plan& plan = batch_plan(batch);
  const auto first =
      static_cast<int>(sums_.size() + state_.buffers.size() + state_.parameters.size() + 1);
  fill(plan.input(first), batch.features);
  fill(plan.input(first + 1), batch.targets);
  if (batch.weights) fill(plan.input(first + 2), batch.weights);
  plan.run();
  bad_ = {plan.output(plan.outputs() - 2).item(), plan.output(plan.outputs() - 1).item()};
  return bad_.finite();
}

const data::Batch& AccumulatedStep::collect(data::Loader& loader, bool drop_last) {
  for (auto& [name, sum] : sums_) std::memset(sum.raw(), 0, sum.bytes());
  copy_into(buffers_, state_.buffers);
  gone_back_ = false;
  const data::Cursor begin = loader.cursor();
  const std::int64_t batches = loader.batches_per_epoch();
  const std::int64_t end = std::min(begin.batch + count_, batches);
  std::int64_t rows = 0;
  for (std::int64_t at = begin.batch; at < end; ++at) {
    const data::Batch& batch = loader.next();
    rows += batch.rows;
    if (add(batch, at - begin.batch)) continue;
    copy_into(state_.buffers, buffers_);
    if (optimizer_->searches()) {
      // Whatever the other batches are. (The sums may be finite where a norm has overflown.)
      sums_.back().second.set_item(0, NAN);
      bad_ = apply();
    }
    if (!bad_.finite()) return batch;
    gone_back_ = true;
    loader.seek({begin.epoch, end});
    break;
  }
  if (drop_last && end < batches && end + count_ > batches) loader.seek({begin.epoch + 1, 0});
  whole_.rows = rows;
  whole_.cursor = {begin.epoch, begin.batch / count_};
  return whole_;
}

TrainStep::Result AccumulatedStep::update() {
  if (gone_back_ || !bad_.finite()) return bad_;
  const auto result = apply();
  if (!result.finite()) copy_into(state_.buffers, buffers_);
  return result;
}

// The sums are in place.
TrainStep::Result AccumulatedStep::apply() {
  for (std::size_t i = 0; i < scalars_.size(); ++i)
    scalar_arrays_[i].set_item(0, scalars_[i].at(state_.step));
  const auto key = fold_in(fold_in(static_cast<std::uint64_t>(state_.seed), hash_text("step")),
                           static_cast<std::uint64_t>(state_.step));
  key_.as<std::int64_t>()[0] = static_cast<std::int64_t>(key);
  Plan& plan = update_plan();
  plan.run();
  const TrainStep::Result result{plan.output(plan.outputs() - 2).item(),
                                 plan.output(plan.outputs() - 1).item()};
  if (result.finite()) ++state_.step;
  return result;
}

}  // namespace descent::train
