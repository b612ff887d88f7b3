// A step that is not finite: what made it so, and a file that does it again (descent replay).
#pragma once
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/loader.h"
#include "descent/train/job.h"
#include "descent/train/rule.h"
#include "descent/train/step.h"

namespace descent::train {

struct Divergence {
  std::string what;   // "operation exp gave inf at element 3 of float32[32, 10] per shard"
  std::string layer;  // "layer 2", or empty
  // Rows of the batch that make it fail, each by itself; empty: none does, or all do, so that the
  // weights are the cause.
  std::vector<std::int64_t> rows;
  std::string cause;  // of the first of them: "feature 3 is nan"
};

// Computes the step again from the state before it, one operation at a time, and looks for the
// rows. The state stays as it is.
Divergence examine(TrainStep& step, EvalStep& eval, const data::Batch& batch,
                   const TrainStep::Result& result);

// The same in words, with the rows of the data: for the user and for health.jsonl. Writes
// replay-STEP.safetensors into `directory` (empty: does not).
struct Failure {
  Error error;
  Words words;
};
struct FailingRun {
  const Job& job;
  const TrainState& state;  // before the step
  TrainStep& step;
  EvalStep& eval;
  const data::Loader& loader;
  const std::string& directory;
};
Failure explain(const FailingRun& run, const data::Batch& batch, const TrainStep::Result& result);

// What is told of going back from `state` to its `good`, with the rate factor already halved.
Words describe_rollback(const Config& config, const TrainState& state, const std::string& why);

// of[i] for each i of rows that it has.
std::vector<std::int64_t> picked(const std::vector<std::int64_t>& of,
                                 const std::vector<std::int64_t>& rows);
// Numbers of at most ten rows: "3, 17, 21 and 4 more".
std::string listed(const std::vector<std::int64_t>& rows);

// A failing step on disk: the state before it, the batch and what the job was made from.
struct ReplayInput {
  nlohmann::json config, transform;
  std::int64_t steps_per_epoch = 0, total_steps = 0;
  data::Batch batch;
  std::vector<std::int64_t> train_rows;  // of the batch, as rows of the training data
  std::vector<std::int64_t> file_rows;   // the same as rows of the file; may be empty
};
std::string encode_replay(const Job& job, const TrainState& state, const data::Batch& batch,
                          const std::vector<std::int64_t>& train_rows);
ReplayInput decode_replay(std::string_view bytes, const std::string& where);

struct ReplayReport {
  std::int64_t step = 0, epoch = 0, batch = 0;  // of the failing step, from 1
  std::int64_t rows = 0;
  bool finite = false;
  TrainStep::Result result;                         // as the run told it
  Divergence divergence;                            // where it is not
  std::vector<std::int64_t> train_rows, file_rows;  // of divergence.rows
  std::vector<ValueRange> ranges;                   // of all layers, then of all gradients
};
// Does the step of a file again; `assignments` ("optimizer.lr=0.1") change its configuration.
ReplayReport replay(const std::string& path, const std::vector<std::string>& assignments,
                    int threads);

}  // namespace descent::train
