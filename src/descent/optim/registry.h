// What a configuration can name: optimizers, learning-rate schedules, minimisers (minimize.h).
#pragma once
#include "descent/base/registry.h"
#include "descent/optim/minimize.h"
#include "descent/optim/transform.h"

namespace descent::optim {

// An optimizer from the options of its section and the schedule its rate follows (which already
// contains the base rate).
using OptimizerRegistry = Registry<Optimizer(const Options&, const Schedule&)>;
const OptimizerRegistry& optimizers();

// A schedule from its options, the base rate and the number of steps the run will take (0:
// unknown).
struct RunLength {
  double lr = 1e-3;
  std::int64_t steps = 0;
  std::int64_t steps_per_epoch = 0;
};
using ScheduleRegistry = Registry<Schedule(const Options&, const RunLength&)>;
const ScheduleRegistry& schedules();

void register_all(OptimizerRegistry& registry);
void register_all(ScheduleRegistry& registry);
void register_all(MinimizerRegistry& registry);

}  // namespace descent::optim
