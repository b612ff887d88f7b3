// What a training loop begins with: the first state, the rows in their order, the number of shards.
#pragma once
#include <memory>
#include <string>

#include "descent/data/loader.h"
#include "descent/train/job.h"
#include "descent/train/state.h"
#include "descent/train/step.h"

namespace descent::train {

// Initial values and an optimizer that has not stepped yet.
TrainState initial_state(const Job& job, std::int64_t seed);

// The training rows in batches of the size that this epoch has, in the order of the seed,
// augmented.
std::unique_ptr<data::Loader> make_loader(const Job& job, std::int64_t seed,
                                          std::int64_t epoch = 0);

// Decides train.shards where it is 0: a step below some megaflops ends before a second thread would
// have begun. The loader comes back as it was.
void choose_shards(Job& job, data::Loader& loader, TrainState& state);

// What rematerialisation saves and costs, for the user. The loader comes back as it was.
std::string rematerialisation_trade(const TrainStep& step, data::Loader& loader);

// Options of the steps, from [train]. threads: 0 for all processors.
StepOptions step_options(const Job& job, int threads);

}  // namespace descent::train
