// Job: a configuration turned into the things it names: data, model, loss, optimizer.
#pragma once
#include <functional>
#include <memory>

#include "descent/data/pipeline.h"
#include "descent/nn/loss.h"
#include "descent/nn/module.h"
#include "descent/optim/transform.h"
#include "descent/track/sink.h"
#include "descent/train/batch_sizes.h"
#include "descent/train/config.h"

namespace descent::train {

struct Job {
  Config config;  // with what was left open decided: loss, shards, batch size
  data::Splits data;
  nn::Layer model;
  nn::Loss loss;
  optim::Optimizer optimizer;
  optim::Schedule schedule;
  // Multiplies every learning rate; a rollback halves it (TrainState::rate_factor).
  std::shared_ptr<double> rate_factor = std::make_shared<double>(1.0);
  // Multiplies every rate where schedule.name = "plateau" (train/plateau.h).
  std::shared_ptr<double> plateau_factor = std::make_shared<double>(1.0);
  std::vector<nn::Variable> variables;
  Type batch;  // of one row of features: [1, sample...]
  std::int64_t batch_size = 0, steps_per_epoch = 0, total_steps = 0;
  BatchSizes batches;  // epoch by epoch; the first two above are the first epoch's
  // Optimizer state and updates that a run begins with (optimizer.load); empty: from the beginning.
  nn::Tree optimizer_state;
  std::int64_t first_step = 0;
};

// Loads the data, builds everything, tells `sink` what was found. Errors name the section.
// fresh = false: a checkpoint has the weights, so that model.init_from is not read.
// load: where the data come from, for jobs that share them (data/shared.h).
using LoadData = std::function<data::Splits(const Options& data_options, std::uint64_t seed)>;
Job prepare(Config config, track::Sink& sink, bool fresh = true, const LoadData& load = data::load);

// The same without data, for a batch that is at hand: model, loss and optimizer. Steps as they were
// in the run that it comes from.
Job prepare_replay(Config config, data::Transform transform, std::int64_t steps_per_epoch,
                   std::int64_t total_steps);

// Gives the job an optimizer that follows other rates: schedule_of(lr) for the optimizer's own lr,
// and for that of each group.
void set_schedule(Job& job, const std::function<optim::Schedule(double lr)>& schedule_of);

// "mlp on titanic.csv".
std::string title_of(const Config& config);
// The model a configuration describes, for rows and outputs as the transform makes them.
nn::Layer build_model(const Config& config, const data::Transform& transform);
// A batch of one row, as models are described with: [1, sample...], tokens in int64.
Type one_row(const data::Transform& transform, const Config& config);
DType dtype_of(const Config& config);  // of parameters: float64 where train.precision says so
nn::Loss build_loss(const Config& config);

}  // namespace descent::train
