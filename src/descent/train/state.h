// TrainState: whatever decides the future of a run, and nothing else. A checkpoint is one on disk.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "descent/io/safetensors.h"
#include "descent/nn/module.h"
#include "descent/train/metrics.h"

namespace descent::train {

struct TrainState {
  nn::Tree parameters, buffers, optimizer;
  std::int64_t seed = 0, step = 0;        // step: updates done
  std::int64_t epoch = 0, batch = 0;      // data cursor: the next batch
  double epoch_loss = 0, epoch_rows = 0;  // sums of the epoch under way
  // Best so far, by the monitored metric, and for how many validations it has not been beaten.
  double best = std::numeric_limits<double>::quiet_NaN();
  std::int64_t best_epoch = 0, stale = 0;
  nn::Tree best_parameters, best_buffers;  // empty: none kept
  double seconds = 0;                      // spent so far
  Metrics train, valid, best_valid;        // last measured, and those of the best weights
  double rate_factor = 1;                  // of every learning rate: halved by each rollback
  std::int64_t rollbacks = 0;
  std::string health;                      // what the watchdog remembers
  std::shared_ptr<const TrainState> good;  // where a rollback leads; null: none is wanted
  // Of schedule.name = "plateau": what the rate is multiplied by, the best value so far,
  // validations since, and those that are still not counted.
  double plateau_factor = 1, plateau_best = std::numeric_limits<double>::quiet_NaN();
  std::int64_t plateau_stale = 0, plateau_cooldown = 0;
};

// With a checksum over everything; decode throws a data error where it does not fit, or a name,
// type or shape differs from `like` (a freshly initialised state of the same model).
std::string encode(const TrainState& state);
TrainState decode(std::string_view bytes, const TrainState& like, const std::string& where);

// Copies elements into the arrays of `to`, which keep their memory (plans are bound to it).
void copy_into(nn::Tree& to, const nn::Tree& from);
nn::Tree clone(const nn::Tree& tree);
// A copy of everything but `good`, with arrays of its own.
std::shared_ptr<const TrainState> snapshot(const TrainState& state);
// Takes a snapshot back. The arrays keep their memory; time, rate and number of rollbacks go on.
void go_back(TrainState& state, const TrainState& to);

}  // namespace descent::train
