// Reduces the learning rate when the validation stops getting better (schedule.name = "plateau"),
// as torch.optim.lr_scheduler.ReduceLROnPlateau:
//
//   a validation is better where  v < best (1 - threshold), or v < best - threshold (abs);
//                                 v > ...  for metrics that grow
//   more than `patience` in a row that are not: rate = max(rate * factor, min_lr), and the next
//   `cooldown` validations are not counted
//
// What it remembers is in TrainState, so that a resumed run goes on. Validations before the end of
// the warm-up are not seen: a rate that still rises says nothing of a plateau.
#pragma once
#include <memory>
#include <string>

#include "descent/optim/transform.h"
#include "descent/train/config.h"
#include "descent/train/state.h"

namespace descent::train {

struct PlateauOptions {
  double factor = 0.1;
  std::int64_t patience = 10;
  double threshold = 1e-4;
  bool relative = true;  // threshold is a part of the best value
  std::int64_t cooldown = 0;
  double min_lr = 0;  // of lr; groups of parameters keep their proportion to it
  double eps = 1e-8;  // a reduction by no more is left out
  bool larger_is_better = false;
  double lr = 1e-3;  // rate that the factor multiplies
};

class Plateau {
 public:
  // Off where the configuration has another schedule. Throws a usage error where there are no
  // validation rows (`validates` false). `factor`: what with_plateau() multiplies.
  Plateau(const Config& config, bool validates, std::shared_ptr<double> factor);
  Plateau(PlateauOptions options, std::shared_ptr<double> factor);

  // After each validation: counts in `state`, and sets the factor. True: the rate was reduced. A
  // metric that the run does not have is a usage error.
  bool observe(const Metrics& valid, TrainState& state);
  bool observe(double value, TrainState& state);
  // At the beginning, and after a resume.
  void restore(const TrainState& state) { *factor_ = state.plateau_factor; }

 private:
  bool better(double value, double best) const;
  bool on_ = true;
  PlateauOptions options_;
  std::string metric_;
  std::int64_t warmup_steps_ = 0;
  std::shared_ptr<double> factor_;
};

// The schedule times *factor where the configuration names "plateau", else the schedule itself.
optim::Schedule with_plateau(const Config& config, optim::Schedule schedule,
                             std::shared_ptr<double> factor);

}  // namespace descent::train
