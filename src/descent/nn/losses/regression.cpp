// Losses of regression: for each row, the mean over its outputs of
//   mse    e^2                                                torch.nn.MSELoss
//   mae    |e|                                                torch.nn.L1Loss
//   huber  e^2 / 2 where |e| <= delta,                        torch.nn.HuberLoss (Huber 1964)
//          else delta (|e| - delta / 2)
// with e = prediction - target.
#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "descent/base/error.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

// The loss whose value for each output is `formula` of the error.
Loss of_error(std::string name, std::function<Value(const Value&)> formula) {
  auto rows = [formula = std::move(formula)](const Value& prediction, const Value& target) {
    // Broadcasting [n, 1] against [n] would compare each row with every other.
    if (prediction.shape() != target.shape()) {
      throw Error(ErrorKind::usage,
                  fmt::format("prediction {} and target {} differ in shape",
                              to_string(prediction.type()), to_string(target.type())),
                  {}, "the model must give one number for each target of a row");
    }
    Value each = formula(prediction - target);
    return each.rank() > 1 ? mean(reshape(each, {each.shape()[0], -1}), {1}) : each;
  };
  return {.name = std::move(name), .rows = std::move(rows)};
}

}  // namespace

Loss mse() {
  auto loss = of_error("mse", [](const Value& error) { return square(error); });
  // exp(-|p - t|^2 / n) over n outputs: a variance of n / 2.
  loss.sample = [](const Value& prediction, const Value& key) {
    const Value p = stop_gradient(prediction);
    const auto n = static_cast<double>(p.shape().size()) / static_cast<double>(p.shape()[0]);
    return p + std::sqrt(n / 2) * random_normal(key, p.type());
  };
  return loss;
}

Loss mae() {
  return of_error("mae", [](const Value& error) { return abs(error); });
}

Loss huber(double delta) {
  if (!(delta > 0)) {
    throw Error(ErrorKind::usage, fmt::format("delta {} must be above 0", delta), "huber");
  }
  return of_error("huber", [delta](const Value& error) {
    // With c = min(|e|, delta), both branches are c (|e| - c / 2).
    const Value distance = abs(error);
    const Value cut = minimum(distance, delta);
    return cut * (distance - 0.5 * cut);
  });
}

void register_regression(LossRegistry& registry) {
  registry.add({.name = "mse",
                .help = "mean of squared errors (torch.nn.MSELoss)",
                .options = {},
                .make = [](const Options&) { return mse(); }});
  registry.add({.name = "mae",
                .help = "mean of absolute errors (torch.nn.L1Loss)",
                .options = {},
                .make = [](const Options&) { return mae(); }});
  registry.add(
      {.name = "huber",
       .help = "squared near 0, linear beyond delta: robust to outliers (torch.nn.HuberLoss)",
       .options = {{.key = "delta",
                    .type = OptionType::number,
                    .fallback = 1.0,
                    .help = "error where the two meet, above 0"}},
       .make = [](const Options& options) { return huber(options.number("delta")); }});
}

}  // namespace descent::nn
