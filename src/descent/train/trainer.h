// Trainer: the loop. Epochs over batches, validation, early stopping, checkpoints, resume.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "descent/track/sink.h"
#include "descent/train/job.h"

namespace descent::train {

struct RunOptions {
  std::string directory;   // run directory; created; empty: nothing is written
  bool resume = false;     // go on from the directory's newest good checkpoint
  int threads = 0;         // 0: all processors; results do not depend on it
  bool profile = false;    // time every kernel of the training step
  bool dump_plan = false;  // tell the schedule of the training step
};

struct Outcome {
  std::string
      reason;         // "finished", "early stopping", "converged: ...", "time limit", "interrupted"
  int exit_code = 0;  // 0, or 130 / 143 where a signal stopped it (saved before)
  nlohmann::json summary;  // as in summary.json
  std::string profile;     // with RunOptions::profile: tables (train/profile.h)
  std::string plan;        // with RunOptions::dump_plan: kernels in order with their memory
};

// Trains. Throws Error(diverged) where the loss or the gradients stop being finite (the last good
// checkpoint and the run directory stay).
Outcome run(Job& job, const RunOptions& options, track::Sink& sink);

// Asks the running loop to save a checkpoint and stop; safe in a signal handler.
void request_stop(int signal) noexcept;

}  // namespace descent::train
