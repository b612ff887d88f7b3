// How many rows an update takes, epoch by epoch: train.batch_size, from some epoch on another
// (train.batch_schedule), and how many batches make an update (train.accumulate). Larger batches
// late in a run do what a smaller rate does (Smith et al. 2018, "Don't decay the learning rate,
// increase the batch size").
//
// The order of the rows is a permutation keyed by seed and epoch, whatever the size of the batches.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace descent::train {

class BatchSizes {
 public:
  BatchSizes() = default;
  // `schedule`: texts "EPOCH:ROWS", epochs counted from 1 as a run tells them, and rising. Throws
  // usage errors.
  BatchSizes(std::int64_t first, const std::vector<std::string>& schedule, std::int64_t rows,
             bool drop_last, std::int64_t accumulate);

  // Epochs count from 0 here.
  std::int64_t at(std::int64_t epoch) const;          // rows of a batch
  std::int64_t steps_in(std::int64_t epoch) const;    // updates
  std::int64_t steps_of(std::int64_t epochs) const;   // in the first epochs together
  std::int64_t epochs_for(std::int64_t steps) const;  // that so many updates take, the last perhaps
                                                      // not to its end
  bool change() const { return stages_.size() > 1; }
  std::int64_t accumulate() const { return accumulate_; }

 private:
  struct Stage {
    std::int64_t epoch, rows;
  };
  std::vector<Stage> stages_{{0, 1}};
  std::int64_t rows_ = 1, accumulate_ = 1;
  bool drop_last_ = false;
};

}  // namespace descent::train
