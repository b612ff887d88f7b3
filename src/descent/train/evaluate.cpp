#include "descent/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "descent/ops/ops.h"

namespace descent::train {
namespace {

// Per batch: large enough for the products, small enough for the caches.
constexpr std::int64_t kRows = 256;
// Of a language model: at most so many logits, but at least a row.
constexpr std::int64_t kLogits = std::int64_t{1} << 24;

std::int64_t rows_per_batch(const data::Transform& transform) {
  if (transform.task() != data::Task::language) return kRows;
  const std::int64_t fit = kLogits / (transform.text().context * transform.vocabulary());
  return std::clamp<std::int64_t>(fit - fit % 2, 1, kRows);
}

// The mean loss is the cross-entropy of a token in nats.
Metrics language_metrics(const Evaluation& result, const data::Transform& transform) {
  const double nats = result.metrics.front().second;
  double right = 0;
  for (std::int64_t i = 0; i < result.outputs.size(); ++i) right += result.outputs.item(i);
  Metrics m = {{"perplexity", std::exp(nats)},
               {"accuracy", right / static_cast<double>(result.outputs.size())}};
  if (transform.text().tokenizer->is_per_character()) {
    m.emplace_back("bits_per_character", nats / std::numbers::ln2);
  }
  return m;
}

}  // namespace

EvalStep::Summary summary_for(const data::Transform& transform) {
  if (transform.task() != data::Task::language) return {};
  return [](const Value& logits, const Value& next) {
    return mean(cast(equal_mask(argmax(logits, -1), next), logits.dtype()), {1});
  };
}

Evaluation evaluate_rows(EvalStep& step, const data::Dataset& rows,
                         const data::Transform& transform, DType dtype) {
  Evaluation result;
  if (rows.rows() == 0) return result;
  data::LoaderOptions options;
  options.batch_size = std::min(rows_per_batch(transform), rows.rows());
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
  // A summary other than summary_for()'s is somebody's own: no metrics.
  const bool language = transform.task() == data::Task::language;
  if (!rows.has_targets() || (language && result.outputs.shape().rank() != 1)) return result;
  result.metrics = {{"loss", weight == 0 ? 0 : loss / weight}};
  Metrics more;
  if (language) {
    more = language_metrics(result, transform);
  } else if (transform.task() == data::Task::classification) {
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
