// An update from several batches (train.accumulate): what one batch of all their rows would do, in
// the memory of the smallest.
//
// A loss is a weighted mean over the rows of its batch, sum w l / W, W = sum w (rows, row weights,
// class weights: what the loss of the batch divides by). Summed over batches are W times the
// gradient and W, then divided: the mean over all rows, however uneven the batches. Statistics of
// batch normalisation are each batch's own.
#pragma once
#include "descent/data/loader.h"
#include "descent/train/step.h"

namespace descent::train {

class AccumulatedStep {
 public:
  // As TrainStep, `count` batches to an update.
  AccumulatedStep(const nn::Layer& model, const nn::Loss& loss, const optim::Optimizer& optimizer,
                  const std::vector<nn::Variable>& variables, TrainState& state,
                  StepOptions options, std::int64_t count);

  // Takes the batches of the next update from the loader, never of two epochs, and sums their
  // gradients. With drop_last an update that would get fewer batches is left out. Returns a batch
  // that stands for all: the rows of all, and in the cursor which update of the epoch it is; or,
  // where a loss or gradient is not finite and no search goes back from it, the batch at fault.
  const data::Batch& collect(data::Loader& loader, bool drop_last);
  // The update (state.step counts on). Where something is not finite, the state stays as it was
  // before collect().
  TrainStep::Result update();

 private:
  struct Key {
    std::int64_t rows = 0;
    bool weighted = false;
    // clang-tidy 14 takes the 0 of a comparison for a pointer.
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr)
  };
  Plan& batch_plan(const data::Batch& batch);
  Plan& update_plan();
  Values trace_batch(ValueSpan in, bool weighted, std::int64_t rows) const;
  Values trace_update(ValueSpan in, std::int64_t variant) const;
  std::vector<PlanInput> bound(const std::vector<const nn::Tree*>& trees) const;
  CompileOptions compile_options(int shards, std::size_t donated) const;
  bool add(const data::Batch& batch, std::int64_t index);
  TrainStep::Result apply();

  nn::Layer model_;
  nn::Loss loss_;
  optim::Optimizer optimizer_;
  std::vector<nn::Variable> all_;  // trained, then kept
  std::vector<optim::Parameter> info_;
  std::vector<optim::HostScalar> scalars_;
  std::vector<Array> scalar_arrays_;
  Array key_;
  TrainState& state_;
  StepOptions options_;
  std::int64_t count_;
  nn::Tree sums_;           // of gradients, then of W and of W times the loss
  nn::Tree buffers_;        // as they were before the first batch
  TrainStep::Result bad_;   // of a batch that was not finite
  bool gone_back_ = false;  // a search has taken the update already: bad_ is what it was told as
  data::Batch whole_;
  std::map<Key, Plan> batch_plans_;
  std::map<std::int64_t, Plan> update_plans_;  // by variant of the optimizer's step
};

}  // namespace descent::train
