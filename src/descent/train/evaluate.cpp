#include "descent/train/evaluate.h"

#include <cstring>

#include "descent/base/error.h"

namespace descent::train {
namespace {

constexpr std::int64_t kRows =
    256;  // per batch: large enough for the products, small enough for the caches

}  // namespace

Evaluation evaluate_rows(EvalStep& step, const data::Dataset& rows,
                         const data::Transform& transform, DType dtype) {
  Evaluation result;
  if (rows.rows() == 0) return result;
  data::LoaderOptions options;
  options.batch_size = std::min(kRows, rows.rows());
  options.shuffle = false;
  options.prefetch = 0;
  options.dtype = dtype;
  data::Loader loader(rows, options, 0);
  double loss = 0, weight = 0;
  std::int64_t done = 0;
  for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
    const data::Batch& batch = loader.next();
    const EvalStep::Result part = step.run(batch);
    if (!result.outputs) {
      Shape s = part.outputs.shape();
      s[0] = rows.rows();
      result.outputs = Array(part.outputs.dtype(), s);
    }
    std::memcpy(result.outputs.rows(done, done + batch.rows).raw(), part.outputs.raw(),
                part.outputs.bytes());
    for (std::int64_t i = 0; part.losses && i < batch.rows; ++i) {
      loss += part.losses.item(i) * part.weights.item(i);
      weight += part.weights.item(i);
    }
    done += batch.rows;
  }
  if (!rows.targets || rows.targets.size() == 0) return result;
  result.metrics = {{"loss", weight == 0 ? 0 : loss / weight}};
  Metrics more;
  if (transform.task() == data::Task::classification) {
    more = classification_metrics(result.outputs, rows.targets, rows.weights);
  } else {
    Array values = result.outputs.clone(), targets = rows.targets.clone();
    transform.restore_targets(values);
    transform.restore_targets(targets);
    more = regression_metrics(values, targets, rows.weights);
  }
  result.metrics.insert(result.metrics.end(), more.begin(), more.end());
  return result;
}

}  // namespace descent::train
