// What summary.json says of a run.
#pragma once
#include <nlohmann/json.hpp>

#include "descent/train/evaluate.h"
#include "descent/train/job.h"
#include "descent/train/state.h"

namespace descent::train {

// Numbers that are not finite become null.
nlohmann::json to_json(const Metrics& metrics);

// What was trained, how far it came, and with what: title, seed, steps, epochs, parameters, rows,
// metrics of training and validation, versions, machine, peak memory.
nlohmann::json describe_run(const Job& job, const TrainState& state);

// {"split": "test", "classes": [names], "counts": [[...]]}; null where there are no classes, or
// more than one can look at.
nlohmann::json confusion(const Job& job, const char* split, const Evaluation& evaluation,
                         const data::Dataset& rows);

}  // namespace descent::train
