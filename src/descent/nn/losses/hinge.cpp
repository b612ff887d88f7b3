// Hinge losses of support vector machines, from class labels t:
//   one output f    max(0, 1 - y f), y = +1 where t > 0, else -1 (Cortes & Vapnik 1995)
//   several         max(0, 1 + max_{j != t} f_j - f_t)           (Crammer & Singer 2001)
// The second is max_j (f_j + [j != t]) - f_t: for j = t that is 0. Convention: keras Hinge and
// CategoricalHinge, scikit-learn hinge_loss; torch.nn.MultiMarginLoss sums over the classes
// instead.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

[[noreturn]] void do_not_fit(const Value& prediction, const Value& target) {
  throw Error(ErrorKind::usage,
              fmt::format("prediction {} and target {} do not fit", to_string(prediction.type()),
                          to_string(target.type())),
              {},
              "it wants [rows, 1] and labels 0 or 1 (or -1, +1) [rows], or [rows, classes] and "
              "class labels int64 [rows]");
}

Value binary(const Value& prediction, const Value& target) {
  const auto rows = prediction.shape()[0];
  const Value label = reshape(cast(target, prediction.dtype()), {rows});
  const Value sign = 2.0 * step(label) - 1.0;
  return relu(1.0 - sign * reshape(prediction, {rows}));
}

Value crammer_singer(const Value& prediction, const Value& target) {
  const Value hot = one_hot(target, prediction.shape()[1], prediction.dtype());
  return max(prediction + (1.0 - hot), {1}) -
         sum(where(hot, prediction, zeros_like(prediction)), {1});
}

}  // namespace

Loss hinge() {
  Loss loss{.name = "hinge", .classification = true};
  loss.rows = [](const Value& prediction, const Value& target) {
    const bool two = prediction.rank() == 2;
    if (two && prediction.shape()[1] == 1 && target.shape().size() == prediction.shape()[0]) {
      return binary(prediction, target);
    }
    if (!two || target.rank() != 1 || target.dtype() != DType::int64 ||
        target.shape()[0] != prediction.shape()[0]) {
      do_not_fit(prediction, target);
    }
    return crammer_singer(prediction, target);
  };
  return loss;
}

void register_hinge(LossRegistry& registry) {
  registry.add({.name = "hinge",
                .help =
                    "margin of support vector machines: max(0, 1 - y f), or Crammer-Singer's for "
                    "several classes",
                .options = {},
                .make = [](const Options&) { return hinge(); }});
}

}  // namespace descent::nn
