// The file of a failing step: a checkpoint of the state before it, and with it "batch/features",
// "batch/targets", "batch/weights" and, in the header, what the job was made from, with a checksum
// over everything.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/train/averaged.h"
#include "descent/train/divergence.h"
#include "descent/train/evaluate.h"

namespace descent::train {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "descent replay 2";

// Over what the header says and every tensor, by name.
std::string checksum(const io::TensorFile& file, const std::string& replay) {
  auto tensors = file.tensors;  // shares the arrays
  std::ranges::sort(tensors, {}, [](const auto& tensor) { return tensor.first; });
  std::uint32_t crc = crc32(replay);
  for (const auto& [name, array] : tensors) {
    crc = crc32(name, crc);
    crc = crc32({reinterpret_cast<const char*>(array.raw()), array.bytes()}, crc);
  }
  return fmt::format("{:08x}", crc);
}

// A state of the job's model, to be filled from a file.
TrainState empty_state(const Job& job, DType dtype) {
  TrainState state;
  for (const auto& v : job.variables)
    (v.trained ? state.parameters : state.buffers)
        .emplace_back(v.name, Array(v.type.dtype, v.type.shape));
  state.optimizer = TrainStep::initial_state(job.optimizer, job.variables, dtype);
  return state;
}

Config changed(const json& config, const std::vector<std::string>& assignments) {
  if (assignments.empty()) return config_from_json(config);
  RawConfig raw = raw_config_from_json(config);
  for (const auto& a : assignments) raw.set(a, "--set");
  return resolve(raw);
}

}  // namespace

std::string encode_replay(const Job& job, const TrainState& state, const data::Batch& batch,
                          const std::vector<std::int64_t>& train_rows) {
  TrainState bare = state;  // shares the arrays
  bare.good = nullptr;
  bare.best_parameters.clear();
  bare.best_buffers.clear();
  io::TensorFile file = io::decode(encode(bare), "the state");
  file.tensors.emplace_back("batch/features", batch.features);
  file.tensors.emplace_back("batch/targets", batch.targets);
  if (batch.weights) file.tensors.emplace_back("batch/weights", batch.weights);
  const auto file_rows = picked(job.data.train_rows, train_rows);
  file.metadata["replay"] = json{
      {"format", kFormat},
      {"config", to_json(job.config)},
      {"transform", job.data.transform.to_json()},
      {"steps_per_epoch", job.steps_per_epoch},
      {"total_steps", job.total_steps},
      {"epoch", batch.cursor.epoch},
      {"batch", batch.cursor.batch},
      {"train_rows", train_rows},
      {"file_rows", file_rows}}.dump();
  file.metadata["replay_crc32"] = checksum(file, file.metadata["replay"]);
  return io::encode(file);
}

ReplayInput decode_replay(std::string_view bytes, const std::string& where) {
  io::TensorFile file = io::decode(bytes, where);
  const auto text = file.metadata.find("replay");
  if (text == file.metadata.end()) {
    throw Error(ErrorKind::data, "not a file of a failing step: its header has no \"replay\"",
                where, "give the replay-STEP.safetensors of a run that diverged");
  }
  ReplayInput input;
  try {
    const auto j = json::parse(text->second);
    if (j.at("format") != kFormat) {
      throw Error(ErrorKind::data, "a file of another version of descent", where,
                  "do the run again with this version, or replay the step with that one");
    }
    if (file.metadata["replay_crc32"] != checksum(file, text->second)) {
      throw Error(ErrorKind::data, "the checksum does not fit: the file is damaged", where,
                  "copy it from the run's directory again, or do the run again");
    }
    input.config = j.at("config");
    input.transform = j.at("transform");
    input.steps_per_epoch = j.at("steps_per_epoch");
    input.total_steps = j.at("total_steps");
    input.batch.cursor = {j.at("epoch"), j.at("batch")};
    j.at("train_rows").get_to(input.train_rows);
    j.at("file_rows").get_to(input.file_rows);
  } catch (const json::exception& e) {
    throw Error(ErrorKind::data, fmt::format("its header cannot be read ({})", e.what()), where,
                "copy it from the run's directory again, or do the run again");
  }
  input.batch.features = file.at("batch/features", where);
  input.batch.targets = file.at("batch/targets", where);
  if (const Array* weights = file.find("batch/weights")) input.batch.weights = *weights;
  if (input.batch.features.shape().rank() == 0) {
    throw Error(ErrorKind::data, "\"batch/features\" has no rows", where);
  }
  input.batch.rows = input.batch.features.shape()[0];
  return input;
}

ReplayReport replay(const std::string& path, const std::vector<std::string>& assignments,
                    int threads) {
  const std::string bytes = read_file(path);
  const ReplayInput input = decode_replay(bytes, path);
  const Job job = prepare_replay(changed(input.config, assignments),
                                 data::Transform::from_json(input.transform), input.steps_per_epoch,
                                 input.total_steps);
  StepOptions options;
  options.dtype = dtype_of(job.config);
  options.shards = std::max(1, static_cast<int>(job.config.train.integer("shards")));
  options.pool =
      std::make_shared<ThreadPool>(std::min(threads > 0 ? threads : processors(), options.shards));
  options.mixed = job.config.train.text("precision") == "bf16";
  TrainState state = decode(bytes, empty_state(job, options.dtype), path);
  *job.rate_factor = state.rate_factor;
  TrainStep step(job.model, job.loss, job.optimizer, job.variables, state, options);
  // Sparse tables as they are with all rows caught up.
  std::optional<AveragedWeights> lazy;
  if (optim::as_lazy_rows(job.optimizer) != nullptr) lazy.emplace(job, state, options).refresh();
  EvalStep eval(job.model, job.loss, job.variables, lazy ? lazy->tree() : state.parameters,
                state.buffers, options, summary_for(job.data.transform));
  ReplayReport report{.step = state.step + 1,
                      .epoch = input.batch.cursor.epoch + 1,
                      .batch = input.batch.cursor.batch + 1,
                      .rows = input.batch.rows};
  report.ranges = step.ranges(input.batch);
  // As the run did it: a step that is not finite leaves the state as it is.
  report.result = step.run(input.batch);
  report.finite = report.result.finite();
  if (report.finite) return report;
  report.divergence = examine(step, eval, input.batch, report.result);
  report.train_rows = picked(input.train_rows, report.divergence.rows);
  report.file_rows = picked(input.file_rows, report.divergence.rows);
  return report;
}

}  // namespace descent::train
