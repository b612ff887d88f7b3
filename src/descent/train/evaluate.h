// Runs a model over all rows of a data set: outputs, loss, metrics.
#pragma once
#include "descent/data/pipeline.h"
#include "descent/train/metrics.h"
#include "descent/train/step.h"

namespace descent::train {

struct Evaluation {
  Array outputs;    // [rows, outputs], or what the step's summary keeps of them
  Metrics metrics;  // "loss" first; empty where the rows have no targets
};

// What evaluate_rows wants of the outputs: of a language model's, [rows, context, vocabulary], the
// share of each row's tokens that it finds the most probable, [rows]; of others all (null).
EvalStep::Summary summary_for(const data::Transform& transform);

// The results depend on the step's shards and the rows alone. Regression metrics are in the file's
// units (transform.restore_targets).
Evaluation evaluate_rows(EvalStep& step, const data::Dataset& rows,
                         const data::Transform& transform, DType dtype);

}  // namespace descent::train
