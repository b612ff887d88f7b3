// Sparse tables: parameters of which a step looks up few rows (embeddings). The step updates those
// rows alone; the updates that the others miss, in which momentum, decay and Adam move them with a
// gradient of zero, are made up for when they are looked up next. The weights are those of the
// dense optimizer: the same operations in the same order, with the learning rate and the bias
// corrections of each step that was missed (what torch.optim.SparseAdam leaves out).
//
//   wrapped = lazy_rows(adamw(...), info, {0});   // the first parameter is such a table
//
// The state is the optimizer's own, and for each table the steps that each row has had
// ("lazy.done.<parameter>"), the numbers of the last steps ("lazy.scalars", [period, width]) and
// how many steps there were ("lazy.step"). In each step one part in `period` of all rows is caught
// up besides, so that none needs an older number and no step is longer than others.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "descent/ops/lazy_rows.h"
#include "descent/optim/transform.h"

namespace descent::optim {

class LazyRows final : public Transform {
 public:
  // `tables`: places in `parameters`. A usage error where the optimizer is none that moves each
  // element by itself, as a function of the step, its gradient and its own state.
  LazyRows(Optimizer inner, const std::vector<Parameter>& parameters,
           const std::vector<std::size_t>& tables, std::int64_t period);

  std::string name() const override { return "lazy"; }
  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override;
  std::vector<HostScalar> scalars(DType dtype) const override { return inner_->scalars(dtype); }
  // A usage error: whole gradients of sparse tables are what this does without.
  void update(Values& updates, Values& state, const UpdateContext& context) const override;
  // All rows caught up.
  Values averaged(ValueSpan parameters, ValueSpan state,
                  const std::vector<Parameter>& info) const override;

  // What a step has looked up of a table.
  struct Looked {
    Value rows;    // the different rows, int64 [n]
    Value places;  // of the index in them
    Values slots;  // weights and state of these rows, caught up: [n, ...]
  };
  // index: int64, over `shards` shards.
  Looked look_up(std::size_t parameter, const Value& index, std::int64_t shards,
                 ValueSpan parameters, ValueSpan state) const;
  // As apply_optimizer; the gradient of a table is that of its looked-up rows. Where `good` is 0,
  // all stays as it was.
  Updated apply(ValueSpan gradients, ValueSpan state, const UpdateContext& context,
                const std::map<std::size_t, Looked>& looked, const Value& good) const;

 private:
  struct Table {
    std::size_t parameter = 0;
    std::vector<std::size_t> state;  // the inner optimizer's tensors of its shape
    IdleUpdate idle;
  };
  Table described(std::size_t parameter, const std::vector<Parameter>& parameters) const;
  LazyTable lazy_table(std::size_t t, ValueSpan parameters, ValueSpan state) const;
  std::size_t table_of(std::size_t parameter) const;

  Optimizer inner_;
  std::int64_t period_;
  std::size_t inner_state_ = 0, width_ = 1;
  std::vector<Table> tables_;
};

// Null where the optimizer is not one of these.
const LazyRows* as_lazy_rows(const Optimizer& optimizer);
Optimizer lazy_rows(Optimizer inner, const std::vector<Parameter>& parameters,
                    const std::vector<std::size_t>& tables, std::int64_t period = 256);

}  // namespace descent::optim
