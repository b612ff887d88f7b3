// The range test of learning rates: Smith 2015, "Cyclical Learning Rates for Training Neural
// Networks" (section 3.3). A short training whose rate grows exponentially from step to step; where
// the loss falls fastest is a good rate, where it is lowest is too high already.
//
//   lr_t = min * (max / min)^(t / (steps - 1)),   t = 0, 1, ...
//
// The loss that belongs to a rate is the one after the update. The curve is smoothed by the mean of
// two bias-corrected exponential means, one forwards and one backwards: a forward mean alone lags,
// and so names rates that are too high.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "descent/train/job.h"

namespace descent::train {

struct LrFindOptions {
  double min = 1e-7, max = 10;
  std::int64_t steps = 0;    // 0: those of an epoch, at least 100, at most 200
  std::int64_t burn_in = 5;  // steps at the lowest rate before
  double smoothing = 0;      // decay of the exponential means; 0: 1 - 20 / steps
  int repeats = 1;           // with seeds one after another; the median curve counts
  int threads = 0;
};

struct LrPoint {
  double lr = 0, loss = 0, smooth = 0;
};

struct LrFound {
  std::vector<LrPoint> points;      // finite ones, ascending in lr
  std::optional<double> steepest;   // where the loss falls fastest; unset: it does not fall
  std::optional<double> careful;    // a tenth of the rate with the lowest loss
  std::optional<double> lowest_at;  // that rate
  std::string reason;               // why nothing is suggested; empty: something is
  std::string ended;                // "the loss exploded at 0.5"; empty: the sweep was finished
  std::vector<std::string> warnings;
};

// What a measured curve suggests; losses may be NaN or infinite. Lone spikes count as their
// neighbours do. A rate is only suggested where the loss has fallen by more than its noise, and
// none above the rate of the lowest loss.
LrFound suggest_rate(std::span<const double> lr, std::span<const double> loss, double smoothing);

// Runs the test. The job keeps an optimizer that follows the sweep: it is of no use afterwards.
LrFound lr_find(Job& job, const LrFindOptions& options);

}  // namespace descent::train
