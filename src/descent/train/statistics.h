// Running statistics of batch normalisation for weights that were not trained with: averages of
// weights. As torch.optim.swa_utils.update_bn: the model runs over batches as in training, dropout
// and augmentation too, and each statistic becomes the mean of the batches' own (mean and unbiased
// variance of each feature), a short batch weighted by its rows.
//
// The batches are the first ones of epoch 0, so that the result depends on seed and weights alone.
#pragma once
#include <map>

#include "descent/compile/plan.h"
#include "descent/train/job.h"
#include "descent/train/state.h"
#include "descent/train/step.h"

namespace descent::train {

class BatchStatistics {
 public:
  // Bound to the arrays of `parameters` and `buffers`, which estimate() writes. What it borrows
  // must outlive it. batches: at most so many.
  BatchStatistics(const Job& job, std::int64_t seed, const nn::Tree& parameters, nn::Tree& buffers,
                  StepOptions options, std::int64_t batches);
  // Whether the model has such statistics.
  bool any() const { return !updated_.empty(); }
  std::int64_t batches() const { return batches_; }  // that an estimate takes
  void estimate();

 private:
  std::map<std::string, Value> trace(ValueSpan in) const;
  std::vector<PlanInput> inputs(const Shape& features, int shards) const;
  Plan& plan_for(const data::Batch& batch);

  const Job& job_;
  std::int64_t seed_;
  const nn::Tree& parameters_;
  nn::Tree& buffers_;
  StepOptions options_;
  std::int64_t batches_;
  Array key_;
  std::vector<nn::Variable> variables_;  // in the order of the values: parameters, then buffers
  std::vector<std::size_t> updated_;     // buffers that are statistics
  std::map<std::int64_t, Plan> plans_;   // by rows
};

}  // namespace descent::train
