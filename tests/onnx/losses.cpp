// SoftmaxCrossEntropyLoss is our cross-entropy; NegativeLogLikelihoodLoss, which PyTorch has beside
// it, is the part of it behind the logarithm.
#include "descent/nn/loss.h"
#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

// Scores [N, C, d...] as rows [N d..., C], targets [N, d...] as [N d...].
Value rows_of(const Value& scores) {
  std::vector<int> last{0};
  for (int i = 2; i < scores.rank(); ++i) last.push_back(i);
  last.push_back(1);
  return reshape(transpose(scores, last), {-1, scores.shape()[1]});
}

// losses: of each row where each counts 1. Ignored rows count 0, others their class's weight.
Values reduced(const Node& n, const std::function<Value(const Value&)>& losses) {
  Value target = reshape(cast(n[1], DType::int64), {-1});
  Value counted;
  if (n.attribute("ignore_index") != nullptr) {
    const auto ignored = static_cast<double>(n.integer("ignore_index", 0));
    const Value is = equal(target, ones_like(target) * ignored);
    target = where(is, zeros_like(target), target);  // any class
    counted = where(is, zeros({DType::float32, target.shape(), false}),
                    full({DType::float32, target.shape(), false}, 1));
  }
  Value weight = n.has(2) ? gather(n[2], target) : Value();
  if (counted) weight = weight ? weight * counted : counted;
  const Value each = losses(target);
  const auto reduction = n.text("reduction", "mean");
  if (reduction == "mean") return {nn::weighted_mean(each, weight)};
  const Value weighted = weight ? each * weight : each;
  if (reduction == "sum") return {sum(weighted)};
  return {reshape(weighted, n[1].shape())};
}

Values cross_entropy(const Node& n) {
  const Value scores = rows_of(n[0]);
  auto out = reduced(n, [&](const Value& t) { return nn::cross_entropy().rows(scores, t); });
  if (n.proto.output_size() > 1) out.push_back(log_softmax(n[0], 1));
  return out;
}

Values negative_log_likelihood(const Node& n) {
  const Value rows = rows_of(n[0]);
  return reduced(n, [&](const Value& t) { return -sum(rows * one_hot(t, rows.shape()[1]), {1}); });
}

}  // namespace

void add_losses(Table& table) {
  table["SoftmaxCrossEntropyLoss"] = cross_entropy;
  table["NegativeLogLikelihoodLoss"] = negative_log_likelihood;
}

}  // namespace descent::onnx_test
