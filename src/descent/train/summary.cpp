#include "descent/train/summary.h"

#include <sys/resource.h>

#include <cmath>

#include "descent/train/machine.h"
#include "descent/train/version.h"

namespace descent::train {
namespace {

constexpr std::size_t kConfusionClasses = 100;

nlohmann::json machine_json() {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [name, text] : machine()) j[name] = text;
  return j;
}

}  // namespace

nlohmann::json to_json(const Metrics& metrics) {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [name, value] : metrics)
    j[name] = std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
  return j;
}

nlohmann::json describe_run(const Job& job, const TrainState& state) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::int64_t parameters = 0;
  for (const auto& v : job.variables) parameters += v.parameter() ? v.type.shape.size() : 0;
  return {{"title", title_of(job.config)},
          {"seed", state.seed},
          {"steps", state.step},
          {"epochs", state.epoch},
          {"parameters", parameters},
          {"peak_memory_bytes", usage.ru_maxrss * 1024},
          {"versions", versions()},
          {"machine", machine_json()},
          {"rows",
           {{"train", job.data.train.rows()},
            {"valid", job.data.valid.rows()},
            {"test", job.data.test.rows()}}},
          {"shards", job.config.train.integer("shards")},
          {"train", to_json(state.train)},
          {"valid", to_json(state.valid)},
          {"best_valid", to_json(state.best_valid)},
          {"best_epoch", state.best_epoch}};
}

nlohmann::json confusion(const Job& job, const char* split, const Evaluation& evaluation,
                         const data::Dataset& rows) {
  const auto& names = job.data.transform.class_names();
  if (job.data.task != data::Task::classification || names.size() > kConfusionClasses) return {};
  return {{"split", split},
          {"classes", names},
          {"counts", confusion_matrix(evaluation.outputs, rows.targets, rows.weights)}};
}

}  // namespace descent::train
