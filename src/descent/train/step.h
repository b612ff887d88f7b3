// The training step and the evaluation step of a model, compiled once per number of rows.
#pragma once
#include <map>
#include <memory>

#include "descent/base/threads.h"
#include "descent/compile/plan.h"
#include "descent/data/loader.h"
#include "descent/nn/loss.h"
#include "descent/nn/module.h"
#include "descent/optim/lazy_rows.h"
#include "descent/train/probe.h"
#include "descent/train/state.h"

namespace descent::train {

struct StepOptions {
  int shards = 1;
  std::shared_ptr<ThreadPool> pool;
  DType dtype = DType::float32;
  bool mixed = false;  // products in bfloat16
  std::vector<std::string> without_passes;
  bool profile = false;        // time every kernel
  bool rematerialise = false;  // compute blocks again in the backward pass (nn::Scope)
};

// The largest divisor of rows that is at most shards: what a batch of these rows is cut into.
int shards_for(std::int64_t rows, int shards);

class TrainStep {
 public:
  // Bound to the arrays of `state`, which it updates in place. What it borrows must outlive it.
  TrainStep(const nn::Layer& model, const nn::Loss& loss, const optim::Optimizer& optimizer,
            const std::vector<nn::Variable>& variables, TrainState& state, StepOptions options);

  struct Result {
    double loss = 0, gradient_norm = 0;
    bool finite() const;  // if not, the state was left as it was
  };
  // One update (state.step counts on). Throws data errors (a label outside the classes). Where
  // `seen` is given, a second plan runs that does the same update, bit for bit, and fills it.
  Result run(const data::Batch& batch, Observation* seen = nullptr);
  // The same, operation by operation: throws Error(diverged) at the first NaN or Inf. Updates the
  // state too.
  Result run_eagerly(const data::Batch& batch, Observation* seen = nullptr);
  // The same without an update: the state stays as it is.
  Result check(const data::Batch& batch);
  // What each layer gives for this batch, then each gradient, operation by operation; the state
  // stays as it is. With NaN and Inf where they come up.
  std::vector<ValueRange> ranges(const data::Batch& batch);
  // Floating-point operations of one update with these rows, from the traced graph.
  double flops(const data::Batch& batch) const;
  const Plan& plan(const data::Batch& batch);
  // What the plan of such a batch would need, with rematerialisation or without; the step keeps
  // nothing of it.
  PlanStatistics statistics_of(const data::Batch& batch, bool rematerialise) const;
  // The plan of the largest batch so far that is not observed.
  const Plan& largest_plan() const;

  // The optimizer's initial state for these variables.
  static nn::Tree initial_state(const optim::Optimizer& optimizer,
                                const std::vector<nn::Variable>& variables, DType dtype);

 private:
  // What a plan is compiled for.
  struct PlanKey {
    std::int64_t rows = 0;
    bool weighted = false;
    std::int64_t variant = 0;  // of the optimizer's step
    bool rematerialise = false;
    bool observed = false;
    // clang-tidy 14 takes the 0 of a comparison for a pointer.
    auto operator<=>(const PlanKey&) const = default;  // NOLINT(modernize-use-nullptr)
  };
  // `probe`: where the step is observed, what it puts out besides.
  Values trace(ValueSpan in, const PlanKey& key, Probe* probe = nullptr) const;
  PlanKey key_for(const data::Batch& batch, bool observed = false) const;
  Plan compiled(const data::Batch& batch, const PlanKey& key, Probe* probe = nullptr) const;
  const Plan& plan_of(const data::Batch& batch, const PlanKey& key);
  Values eager_inputs(const data::Batch& batch, int shards) const;
  std::vector<PlanInput> inputs(const data::Batch& batch, int shards) const;
  void set_host_values();
  nn::Layer model_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
  const optim::LazyRows* lazy_;  // the optimizer, where there are sparse tables; else null
  std::vector<nn::Variable> trained_, kept_;
  std::vector<optim::Parameter> info_;
  std::vector<optim::HostScalar> scalars_;
  std::vector<Array> scalar_arrays_;
  Array key_;
  TrainState& state_;
  StepOptions options_;
  StepProbe probe_;
  std::map<PlanKey, Plan> plans_;
};

// Which values of a step are kept, and what it is told as. A step that is not finite changes
// nothing: the state before it can be looked at, saved, gone on from. A search that has an accepted
// point goes back to it by itself; such a step counts, and is told as that point.
struct Guard {
  Value finite, kept;         // masks: of buffers; of parameters and optimizer state
  Value loss, gradient_norm;  // told
};
Guard guard(const optim::Optimizer& optimizer, ValueSpan state,
            const std::vector<optim::Parameter>& info, const Value& loss,
            const Value& gradient_norm);

// The values of variables as a model asks for them; random operations take `key` (null: none).
nn::Scope bind_scope(const std::vector<nn::Variable>& variables, ValueSpan values, bool training,
                     const Value& key, const StepOptions& options);

// Forward pass alone: outputs, and per row its loss and weight, for the first `batch.rows` rows.
class EvalStep {
 public:
  // What is kept of an output (and its target) where all of it would be too much. Null: all of it.
  using Summary = std::function<Value(const Value& output, const Value& target)>;
  EvalStep(const nn::Layer& model, const nn::Loss& loss, const std::vector<nn::Variable>& variables,
           const nn::Tree& parameters, const nn::Tree& buffers, StepOptions options,
           Summary summary = {});
  struct Result {
    Array outputs;          // [rows, ...]
    Array losses, weights;  // [rows]; without targets: none
  };
  // Arrays stay valid until the next call.
  Result run(const data::Batch& batch);

 private:
  nn::Layer model_;
  nn::Loss loss_;
  std::vector<nn::Variable> variables_;
  std::vector<PlanInput> bound_;
  StepOptions options_;
  Summary summary_;
  std::map<std::pair<std::int64_t, int>, Plan> plans_;
};

}  // namespace descent::train
