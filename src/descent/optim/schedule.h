// Learning rates as functions of the step. step counts the updates made before this one, from 0;
// with the same arguments each gives what PyTorch's scheduler of the same meaning gives when its
// step() is called once after each optimizer.step(). Past the end a schedule keeps its last value
// (PyTorch's cosine would rise again).
#pragma once
#include <concepts>
#include <cstdint>
#include <vector>

#include "descent/optim/transform.h"

namespace descent::optim {

// lr
Schedule constant(double lr);
// lr * gamma^floor(step / step_size)                                      torch: StepLR
Schedule step_decay(double lr, std::int64_t step_size, double gamma = 0.1);
// lr * gamma^(number of milestones <= step)                               torch: MultiStepLR
Schedule multistep(double lr, std::vector<std::int64_t> milestones, double gamma = 0.1);
// lr * gamma^step                                                         torch: ExponentialLR
Schedule exponential(double lr, double gamma);

struct CosineOptions {
  double min_lr = 0;
};
// min_lr + (lr - min_lr) (1 + cos(pi step / steps)) / 2                   torch: CosineAnnealingLR
// Loshchilov & Hutter 2017, "SGDR: Stochastic gradient descent with warm restarts".
Schedule cosine(double lr, std::int64_t steps, CosineOptions options = {});

struct LinearOptions {
  double start_factor = 1, end_factor = 0;
};
// lr * (start_factor + (end_factor - start_factor) step / steps)          torch: LinearLR
Schedule linear(double lr, std::int64_t steps, LinearOptions options = {});

struct PolynomialOptions {
  double power = 1, min_lr = 0;
};
// min_lr + (lr - min_lr) (1 - step / steps)^power                         torch: PolynomialLR
Schedule polynomial(double lr, std::int64_t steps, PolynomialOptions options = {});

enum class Anneal { cosine, linear };
struct OneCycleOptions {
  double pct_start = 0.3;         // part of the steps in which the rate rises
  double div_factor = 25;         // starts at lr / div_factor
  double final_div_factor = 1e4;  // ends at lr / div_factor / final_div_factor
  Anneal anneal = Anneal::cosine;
  bool three_phase = false;  // fall back to the start as slowly as it rose, then to the end
};
// From lr / div_factor up to lr, then down to almost nothing              torch: OneCycleLR
// Smith & Topin 2018, "Super-convergence". lr is the peak; momentum does not cycle.
Schedule one_cycle(double lr, std::int64_t steps, OneCycleOptions options = {});

// lr times factor for the first steps, then lr                            torch: ConstantLR
struct ConstantFactorOptions {
  double factor = 1.0 / 3;
  std::int64_t steps = 5;
};
Schedule constant_factor(double lr, ConstantFactorOptions options = {});
// lr times the factors of the milestones <= step                          torch: MultiplicativeLR
Schedule multiplicative(double lr, std::vector<std::int64_t> milestones,
                        std::vector<double> factors);

enum class Cycles { triangular, triangular2, exp_range };
struct CyclicOptions {
  double min_lr = 0;
  std::int64_t step_size_up = 2000, step_size_down = 0;  // 0: as step_size_up
  Cycles mode = Cycles::triangular;
  double gamma = 1;  // of exp_range
};
// From min_lr up to lr and down again                                     torch: CyclicLR
// Smith 2017, "Cyclical learning rates for training neural networks".
Schedule cyclic(double lr, CyclicOptions options = {});

struct CosineRestartsOptions {
  std::int64_t period_factor = 1;  // T_mult
  double min_lr = 0;
};
// A cosine that begins again after period (T_0), then after
// period_factor times as many steps               torch: CosineAnnealingWarmRestarts
Schedule cosine_restarts(double lr, std::int64_t period, CosineRestartsOptions options = {});

struct InverseSqrtOptions {
  bool hold = false;  // keep lr for timescale steps first (T5)
};
// lr sqrt(timescale / (timescale + step)): after a warm-up of timescale steps, the Transformer's
// (Vaswani et al. 2017). hold: lr sqrt(timescale / max(timescale, step)) (Raffel et al. 2020).
Schedule inverse_sqrt(double lr, std::int64_t timescale, InverseSqrtOptions options = {});

enum class Decay { linear, cosine, sqrt };
struct WsdOptions {
  Decay shape = Decay::linear;
  double min_lr = 0;
};
// lr for stable_steps, then down to min_lr in decay_steps; warmup() goes before it. Hu et al. 2024.
Schedule wsd(double lr, std::int64_t stable_steps, std::int64_t decay_steps,
             WsdOptions options = {});

// One after another, each from its own step 0; schedules[i + 1] begins at
// milestones[i]                                                           torch: SequentialLR
Schedule sequential(std::vector<Schedule> schedules, std::vector<std::int64_t> milestones);
// lr times the product of schedule(step) / lr: all of them at once, each
// made for the rate lr                                                    torch: ChainedScheduler
Schedule chained(double lr, std::vector<Schedule> schedules);

// Rises from start_factor times the schedule's first rate to that rate in `steps` steps, then
// follows the schedule from its beginning:
//   step < steps:  schedule(0) * (start_factor + (1 - start_factor) step / steps)
//   otherwise:     schedule(step - steps)                  torch: SequentialLR of LinearLR and it
// Goyal et al. 2017, "Accurate, large minibatch SGD". With start_factor 0 the first step is still.
Schedule warmup(std::int64_t steps, Schedule schedule, double start_factor = 0);

// A learning rate as an optimizer's option takes it: a number, or a function of the step.
class Rate {
 public:
  Rate(double lr) : schedule_(constant(lr)) {}
  template <std::invocable<std::int64_t> F>
  Rate(F schedule) : schedule_(std::move(schedule)) {}
  const Schedule& schedule() const { return schedule_; }

 private:
  Schedule schedule_;
};

}  // namespace descent::optim
