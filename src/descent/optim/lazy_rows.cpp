#include "descent/optim/lazy_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/compile/fused.h"
#include "descent/compile/passes.h"
#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

[[noreturn]] void unsupported(const std::string& parameter, const std::string& why) {
  throw Error(
      ErrorKind::usage,
      fmt::format("\"{}\" is sparse, which this optimizer does not allow: {}", parameter, why),
      "[optimizer]",
      "use sgd, adam, adamw, adagrad or rmsprop, without averages and wrappers, and of the "
      "clips clip_norm and clip_value alone; or set sparse = false");
}

std::vector<Parameter> with_rows(std::vector<Parameter> parameters, std::size_t at,
                                 std::int64_t rows) {
  parameters[at].type.shape[0] = rows;
  return parameters;
}

DType dtype_of(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? DType::float32 : parameters.front().type.dtype;
}

Values inputs_like(const std::vector<Parameter>& parameters) {
  Values all;
  for (const auto& p : parameters) all.push_back(input(p.type, p.name));
  return all;
}

// One row's update, traced with placeholders.
struct TracedRow {
  Value gradient;
  Values slots, scalars;
  Values results;  // new slots
};

TracedRow trace_row(const Transform& inner, std::size_t table,
                    const std::vector<std::size_t>& states,
                    const std::vector<Parameter>& parameters) {
  const auto info = with_rows(parameters, table, 1);
  const Values current = inputs_like(info);
  Values updates = inputs_like(info), state, scalars;
  for (const auto& s : inner.state(info)) state.push_back(input(s.type, s.name));
  const DType dtype = dtype_of(info);
  for (const auto& s : inner.scalars(dtype)) scalars.push_back(input({dtype, {}, false}, s.name));
  TracedRow row{.gradient = updates[table], .slots = {current[table]}, .scalars = scalars};
  for (const auto k : states) row.slots.push_back(state[k]);
  inner.update(updates, state,
               {.parameters = current, .info = info, .scalars = scalars, .zero_gradients = true});
  row.results = {current[table] + updates[table]};
  for (const auto k : states) row.results.push_back(state[k]);
  return row;
}

// The tile program that the compiler makes of a row's update, with what its operands are.
IdleUpdate program_of(const TracedRow& row, const std::string& parameter) {
  const PassContext context;
  const Values out = fuse(merge_common(simplify(row.results, context), context), context);
  auto update = std::make_shared<kernels::IdleUpdate>();
  update->row = row.slots[0].shape();
  update->dtype = row.slots[0].dtype();
  update->slots = static_cast<int>(row.slots.size());
  const FusedOp* fused = nullptr;
  const Node* node = nullptr;
  for (std::size_t k = 0; k < out.size(); ++k) {
    if (out[k] == row.slots[k]) continue;  // stays as it is
    const auto* op = dynamic_cast<const FusedOp*>(out[k].node()->op.get());
    if (op == nullptr || (node != nullptr && node != out[k].node()) || !op->sums.empty()) {
      unsupported(parameter, "its update is not one of each element by itself");
    }
    fused = op;
    node = out[k].node();
    update->outputs.push_back(op->outputs.at(static_cast<std::size_t>(out[k].index())));
    update->written.push_back(static_cast<int>(k));
  }
  if (fused == nullptr) return update;
  update->inputs = fused->inputs;
  update->instructions = fused->instructions;
  using Source = kernels::IdleUpdate::Source;
  for (const auto& v : node->inputs) {
    const auto place = [&v](const Values& among) {
      return static_cast<int>(std::find(among.begin(), among.end(), v) - among.begin());
    };
    if (v == row.gradient) {
      update->operands.push_back({Source::gradient, 0});
    } else if (const int slot = place(row.slots); slot < std::ssize(row.slots)) {
      update->operands.push_back({Source::slot, slot});
    } else if (const int scalar = place(row.scalars); scalar < std::ssize(row.scalars)) {
      update->operands.push_back({Source::scalar, scalar});
    } else if (const auto* c = dynamic_cast<const ConstantOp*>(v.node()->op.get())) {
      update->operands.push_back({Source::constant, static_cast<int>(update->constants.size())});
      update->constants.push_back(c->array);
    } else {
      unsupported(parameter, "its update looks at more than each element's own gradient and state");
    }
  }
  return update;
}

}  // namespace

LazyRows::LazyRows(Optimizer inner, const std::vector<Parameter>& parameters,
                   const std::vector<std::size_t>& tables, std::int64_t period)
    : inner_(std::move(inner)), period_(std::max<std::int64_t>(1, period)) {
  const auto own = inner_->state(parameters);
  inner_state_ = own.size();
  width_ = std::max<std::size_t>(1, inner_->scalars(dtype_of(parameters)).size());
  for (const auto t : tables) {
    const std::string& who = parameters.at(t).name;
    if (inner_->variants() != 1) unsupported(who, "some of its steps are of another kind");
    Values symbols;
    for (const auto& s : own) symbols.push_back(input(s.type, s.name));
    if (!inner_->averaged(inputs_like(parameters), symbols, parameters).empty()) {
      unsupported(who, "it keeps averages of the weights");
    }
    tables_.push_back(described(t, parameters));
  }
}

LazyRows::Table LazyRows::described(std::size_t parameter,
                                    const std::vector<Parameter>& parameters) const {
  const auto& info = parameters[parameter];
  Table table{.parameter = parameter, .state = {}, .idle = nullptr};
  // The tensors that change with the table's rows are its own.
  const auto own = inner_->state(parameters);
  const auto longer = inner_->state(with_rows(parameters, parameter, info.type.shape[0] + 1));
  if (own.size() != longer.size()) unsupported(info.name, "its state is not of the table's shape");
  for (std::size_t k = 0; k < own.size(); ++k) {
    if (own[k].type == longer[k].type) continue;
    if (!(own[k].type == info.type))
      unsupported(info.name, "its state is not of the table's shape");
    table.state.push_back(k);
  }
  try {
    table.idle = program_of(trace_row(*inner_, parameter, table.state, parameters), info.name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage || error.where() == "[optimizer]") throw;
    unsupported(info.name, error.message());  // it needs the loss, other gradients, a key
  }
  return table;
}

std::vector<StateTensor> LazyRows::state(const std::vector<Parameter>& parameters) const {
  auto all = inner_->state(parameters);
  for (const auto& t : tables_) {
    const auto& p = parameters.at(t.parameter);
    all.push_back({"lazy.done." + p.name, {DType::int64, {p.type.shape[0]}, false}});
  }
  all.push_back({"lazy.scalars",
                 {dtype_of(parameters), {period_, static_cast<std::int64_t>(width_)}, false}});
  all.push_back({"lazy.step", {DType::int64, {}, false}});
  return all;
}

void LazyRows::update(Values&, Values&, const UpdateContext&) const {
  throw Error(ErrorKind::usage, "whole gradients of sparse tables are not known here", "[model]",
              "set sparse = false");
}

std::size_t LazyRows::table_of(std::size_t parameter) const {
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    if (tables_[t].parameter == parameter) return t;
  }
  throw Error(ErrorKind::internal, fmt::format("parameter {} is no sparse table", parameter));
}

LazyTable LazyRows::lazy_table(std::size_t t, ValueSpan parameters, ValueSpan state) const {
  const Table& table = tables_[t];
  LazyTable result{.idle = table.idle,
                   .slots = {parameters[table.parameter]},
                   .done = state[inner_state_ + t],
                   .scalars = state[inner_state_ + tables_.size()],
                   .step = state[inner_state_ + tables_.size() + 1]};
  for (const auto k : table.state) result.slots.push_back(state[k]);
  return result;
}

Values LazyRows::averaged(ValueSpan parameters, ValueSpan state,
                          const std::vector<Parameter>&) const {
  Values all(parameters.begin(), parameters.end());
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    all[tables_[t].parameter] = caught_up(lazy_table(t, parameters, state));
  }
  return all;
}

LazyRows::Looked LazyRows::look_up(std::size_t parameter, const Value& index, std::int64_t shards,
                                   ValueSpan parameters, ValueSpan state) const {
  const LazyTable table = lazy_table(table_of(parameter), parameters, state);
  Looked looked;
  looked.rows = distinct_rows(index, shards, table.slots[0].shape()[0]);
  looked.places = places_of(looked.rows, index);
  looked.slots = caught_up(table, looked.rows);
  return looked;
}

Updated LazyRows::apply(ValueSpan gradients, ValueSpan state, const UpdateContext& context,
                        const std::map<std::size_t, Looked>& looked, const Value& good) const {
  // The optimizer sees the looked-up rows in the place of each table.
  std::vector<Parameter> info = context.info;
  Values parameters(context.parameters.begin(), context.parameters.end());
  Values updates(gradients.begin(), gradients.end());
  const ValueSpan old_state = state.first(inner_state_);
  Values inner_state(old_state.begin(), old_state.end());
  for (const auto& table : tables_) {
    const auto& slots = looked.at(table.parameter).slots;
    info[table.parameter].type = slots[0].type();
    parameters[table.parameter] = slots[0];
    for (std::size_t k = 0; k < table.state.size(); ++k) inner_state[table.state[k]] = slots[k + 1];
  }
  const UpdateContext rows{.parameters = parameters,
                           .info = info,
                           .scalars = context.scalars,
                           .variant = context.variant,
                           .loss = context.loss,
                           .key = context.key};
  inner_->update(updates, inner_state, rows);
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] = parameters[i] + updates[i];

  Updated out{.parameters = {}, .state = Values(state.begin(), state.end())};
  std::vector<bool> placed(inner_state_, false);
  const auto [scalars, step] =
      advance(state[inner_state_ + tables_.size()], state[inner_state_ + tables_.size() + 1],
              context.scalars, good);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    out.parameters.push_back(
        looked.contains(i) ? Value() : select(good, parameters[i], context.parameters[i]));
  }
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const Table& table = tables_[t];
    Values fresh{parameters[table.parameter]};
    for (const auto k : table.state) fresh.push_back(inner_state[k]);
    LazyTable target = lazy_table(t, context.parameters, state);
    target.scalars = scalars;
    target.step = step;
    const Values put = put_rows(target, looked.at(table.parameter).rows, fresh, good);
    out.parameters[table.parameter] = put[0];
    for (std::size_t k = 0; k < table.state.size(); ++k) {
      out.state[table.state[k]] = put[k + 1];
      placed[table.state[k]] = true;
    }
    out.state[inner_state_ + t] = put.back();
  }
  for (std::size_t k = 0; k < inner_state_; ++k) {
    if (!placed[k]) out.state[k] = select(good, inner_state[k], state[k]);
  }
  out.state[inner_state_ + tables_.size()] = scalars;
  out.state[inner_state_ + tables_.size() + 1] = step;
  return out;
}

const LazyRows* as_lazy_rows(const Optimizer& optimizer) {
  return dynamic_cast<const LazyRows*>(optimizer.get());
}

Optimizer lazy_rows(Optimizer inner, const std::vector<Parameter>& parameters,
                    const std::vector<std::size_t>& tables, std::int64_t period) {
  return std::make_shared<LazyRows>(std::move(inner), parameters, tables, period);
}

}  // namespace descent::optim
