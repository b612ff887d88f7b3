// Cross-entropy with the softmax of the outputs, as torch.nn.CrossEntropyLoss:
//   l = -sum_c q_c v_c log softmax(p)_c
// q: the classes' probabilities, (1 - s) t + s / classes for a target t and label smoothing s
// (Szegedy et al. 2016); v: class weights. A target is a class label (t is 1 there) or a
// probability for each class (mixed or distilled rows).
// Labels: mean = sum l / sum v_t. Weighted rows, sum u l / sum u with u = v_t, want each row's
// l / v_t. A class of weight 0 is left out altogether (PyTorch keeps the smoothed part of its rows
// in the numerator). Where each row has several labels (the tokens of a text), its loss is the mean
// over them, weighted by v, and its weight the mean of v, so that the mean over rows is that over
// all labels. Probabilities: mean = sum l / rows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

void check_options(const CrossEntropyOptions& options) {
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    throw Error(ErrorKind::usage,
                fmt::format("label_smoothing {} must lie between 0 and 1", options.label_smoothing),
                "cross_entropy");
  }
  const auto bad = [](double weight) { return !(weight >= 0 && std::isfinite(weight)); };
  if (std::ranges::any_of(options.class_weights, bad)) {
    throw Error(ErrorKind::usage, "class_weights must be at least 0 and finite", "cross_entropy");
  }
}

// Whether the target is a probability for each class, not a label.
bool is_probability(const Value& target) { return target.dtype() != DType::int64; }

void check_shapes(const Value& prediction, const Value& target,
                  const std::vector<double>& weights) {
  const auto& p = prediction.shape();
  const auto& t = target.shape();
  const bool one = p.rank() == 2 && t.rank() == 1 && p[0] == t[0];
  const bool several = p.rank() == 3 && t.rank() == 2 && p[0] == t[0] && p[1] == t[1];
  const bool fits = target.dtype() == DType::int64 ? one || several : p.rank() == 2 && p == t;
  if (!fits) {
    throw Error(ErrorKind::usage,
                fmt::format("prediction {} and target {} do not fit", to_string(prediction.type()),
                            to_string(target.type())),
                {},
                "it wants [rows, classes] and class labels int64 [rows] or probabilities [rows, "
                "classes], or [rows, positions, classes] and int64 [rows, positions]; for numbers "
                "use mse");
  }
  if (p[-1] < 2) {
    throw Error(ErrorKind::usage,
                fmt::format("prediction {} has one output", to_string(prediction.type())), {},
                "use one output a class, or binary_cross_entropy for a single logit");
  }
  if (weights.empty() || static_cast<std::int64_t>(weights.size()) == p[-1]) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} class weights for {} classes", weights.size(), p[-1]));
}

Value as_value(const std::vector<double>& weights, DType dtype) {
  return constant(Array::from(weights, {static_cast<std::int64_t>(weights.size())}).cast(dtype));
}

// x / w where w is not 0, else x: such a row counts for nothing, but must stay finite.
Value divided_where_not_zero(const Value& x, const Value& w) {
  return x / (w + equal_mask(w, zeros_like(w)));
}

// The loss of each label, divided by its class weight.
Value of_labels(const Value& prediction, const Value& target, const CrossEntropyOptions& options) {
  const Value own = softmax_cross_entropy(prediction, target);
  if (options.label_smoothing == 0) return own;
  const Value surprise = -log_softmax(prediction);
  Value spread;
  if (options.class_weights.empty()) {
    spread = mean(surprise, {-1});
  } else {
    const Value weights = as_value(options.class_weights, prediction.dtype());
    spread = divided_where_not_zero(mean(surprise * weights, {-1}), gather(weights, target));
  }
  return own * (1 - options.label_smoothing) + spread * options.label_smoothing;
}

// The loss of each row where it has several labels.
Value over_positions(const Value& each, const Value& target, const CrossEntropyOptions& options) {
  if (options.class_weights.empty()) return mean(each, {1});
  const Value weights = gather(as_value(options.class_weights, each.dtype()), target);
  return divided_where_not_zero(sum(each * weights, {1}), sum(weights, {1}));
}

Value of_probabilities(const Value& prediction, const Value& target,
                       const CrossEntropyOptions& options) {
  const Value surprise = -log_softmax(prediction);
  const double s = options.label_smoothing;
  Value q = cast(target, surprise.dtype());
  if (s != 0) q = q * (1 - s) + s / static_cast<double>(surprise.shape()[1]);
  if (!options.class_weights.empty()) q = q * as_value(options.class_weights, surprise.dtype());
  return sum(q * surprise, {1});
}

}  // namespace

Loss cross_entropy(const CrossEntropyOptions& options) {
  check_options(options);
  Loss loss{.name = "cross_entropy", .classification = true};
  loss.rows = [options](const Value& prediction, const Value& target) {
    check_shapes(prediction, target, options.class_weights);
    if (is_probability(target)) return of_probabilities(prediction, target, options);
    const Value each = of_labels(prediction, target, options);
    return target.rank() == 1 ? each : over_positions(each, target, options);
  };
  // Labels, as the largest of the logits with Gumbel noise (Maddison et al. 2014). The floor keeps
  // log(0) out.
  loss.sample = [](const Value& prediction, const Value& key) {
    const Value u = maximum(random_uniform(key, prediction.type()), 1e-30);
    return argmax(stop_gradient(prediction) - log(-log(u)));
  };
  if (!options.class_weights.empty()) {
    loss.row_weights = [weights = options.class_weights](const Value& target, DType dtype) {
      if (is_probability(target)) return Value();
      const Value each = gather(as_value(weights, dtype), target);
      return target.rank() == 1 ? each : mean(each, {1});
    };
  }
  return loss;
}

void register_cross_entropy(LossRegistry& registry) {
  registry.add({.name = "cross_entropy",
                .help = "-log softmax at the class label (torch.nn.CrossEntropyLoss)",
                .options = {{.key = "label_smoothing",
                             .type = OptionType::number,
                             .fallback = 0.0,
                             .help = "share of probability spread over all classes",
                             .min = 0,
                             .max = 1},
                            {.key = "class_weights",
                             .type = OptionType::numbers,
                             .fallback = std::vector<double>{},
                             .help = "weight of each class; empty: all one",
                             .min = 0}},
                .make = [](const Options& options) {
                  return cross_entropy({.label_smoothing = options.number("label_smoothing"),
                                        .class_weights = options.numbers("class_weights")});
                }});
}

}  // namespace descent::nn
