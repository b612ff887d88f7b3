// Binary cross-entropy from logits z, as torch.nn.BCEWithLogitsLoss: the mean over a row's outputs
// of
//   softplus(z) - y z  =  -y log sigmoid(z) - (1 - y) log(1 - sigmoid(z)),
// which does not overflow. Targets are labels (one output: 0 or 1; more outputs: each class against
// the rest) or numbers in [0, 1] of the prediction's shape (several labels a row).
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

[[noreturn]] void do_not_fit(const Value& logits, const Value& target) {
  throw Error(ErrorKind::usage,
              fmt::format("prediction {} and target {} do not fit", to_string(logits.type()),
                          to_string(target.type())),
              {},
              "it wants [rows, 1] and labels 0 or 1 [rows], or numbers of the prediction's shape");
}

// Targets as numbers of the prediction's shape.
Value expected(const Value& logits, const Value& target) {
  if (target.shape() == logits.shape()) return cast(target, logits.dtype());
  if (logits.rank() != 2 || target.rank() != 1 || logits.shape()[0] != target.shape()[0]) {
    do_not_fit(logits, target);
  }
  const auto outputs = logits.shape()[1];
  // One-hot over two classes keeps the check that labels are 0 or 1.
  if (target.dtype() == DType::int64) {
    const Value hot = one_hot(target, outputs == 1 ? 2 : outputs, logits.dtype());
    return outputs == 1 ? slice(hot, 1, 1, 2) : hot;
  }
  if (outputs != 1) do_not_fit(logits, target);
  return reshape(cast(target, logits.dtype()), logits.shape());
}

}  // namespace

Loss binary_cross_entropy() {
  Loss loss{.name = "binary_cross_entropy", .classification = true};
  loss.rows = [](const Value& prediction, const Value& target) {
    const Value y = expected(prediction, target);
    const Value each = softplus(prediction) - y * prediction;
    return each.rank() > 1 ? mean(reshape(each, {each.shape()[0], -1}), {1}) : each;
  };
  loss.sample = [](const Value& prediction, const Value& key) {
    const Value p = sigmoid(stop_gradient(prediction));
    return greater_mask(p, random_uniform(key, p.type()));
  };
  return loss;
}

void register_binary_cross_entropy(LossRegistry& registry) {
  registry.add(
      {.name = "binary_cross_entropy",
       .help = "softplus(z) - y z of logits z, for one output (torch.nn.BCEWithLogitsLoss)",
       .options = {},
       .make = [](const Options&) { return binary_cross_entropy(); }});
}

}  // namespace descent::nn
