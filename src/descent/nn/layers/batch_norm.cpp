// Batch normalisation: y = (x - mean) / sqrt(variance + eps) * weight + bias for each feature of
// [N, F] or channel of [N, C, ...]. Ioffe & Szegedy 2015; names and defaults of
// torch.nn.BatchNorm1d and 2d. Training takes mean and (biased) variance of the whole batch, over
// all shards, so that the result does not depend on how the batch was cut; running statistics move
// by `momentum` towards them, the variance as its unbiased estimate. Evaluation uses the running
// statistics.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

// All axes but the second.
std::vector<int> reduced_axes(int rank) {
  std::vector<int> axes{0};
  for (int axis = 2; axis < rank; ++axis) axes.push_back(axis);
  return axes;
}

class BatchNorm final : public Module {
 public:
  explicit BatchNorm(BatchNormOptions options) : o_(options) {
    if (o_.eps > 0 && o_.momentum >= 0 && o_.momentum <= 1) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("eps {} must be above 0 and momentum {} between 0 and 1", o_.eps, o_.momentum),
        "batch_norm");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.rank() < 2) {
      throw Error(ErrorKind::usage,
                  fmt::format("batch_norm wants [rows, features] or [rows, channels, ...], not {}",
                              to_string(x.type())));
    }
    const auto features = x.shape()[1];
    // One number for each feature, as it broadcasts against x.
    std::vector<std::int64_t> extents(static_cast<std::size_t>(x.rank() - 1), 1);
    extents[0] = features;
    const Shape wide(std::move(extents));

    Value mean = scope.buffer("running_mean", {features}, zeros());
    Value variance = scope.buffer("running_var", {features}, ones());
    if (scope.training()) {
      const auto running_mean = mean, running_variance = variance;
      const auto axes = reduced_axes(x.rank());
      mean = batch_mean(x, axes);
      variance = batch_mean(square(x - reshape(mean, wide)), axes);
      scope.update_buffer("running_mean", moved(running_mean, mean));
      scope.update_buffer("running_var", moved(running_variance, unbiased(variance, x)));
    }
    Value scale = rsqrt(variance + o_.eps);
    if (o_.affine) scale = scale * scope.parameter("weight", {features}, ones(), false);
    Value y = (x - reshape(mean, wide)) * reshape(scale, wide);
    if (o_.affine) y = y + reshape(scope.parameter("bias", {features}, zeros(), false), wide);
    return y;
  }

  std::string describe() const override {
    return fmt::format("batch_norm{}", o_.affine ? "" : "(not affine)");
  }

 private:
  Value moved(const Value& running, const Value& batch) const {
    return stop_gradient(running * (1 - o_.momentum) + batch * o_.momentum);
  }

  // n / (n - 1) of the biased variance; a single number has no unbiased estimate and keeps 0.
  static Value unbiased(const Value& variance, const Value& x) {
    double positions = 1;
    for (int axis = 2; axis < x.rank(); ++axis) positions *= static_cast<double>(x.shape()[axis]);
    const Value n = batch_size(x) * positions;
    return variance * (n / maximum(n - 1.0, 1.0));
  }

  BatchNormOptions o_;
};

}  // namespace

Layer batch_norm(BatchNormOptions options) { return std::make_shared<const BatchNorm>(options); }

void register_batch_norm(LayerRegistry& registry) {
  registry.add({.name = "batch_norm",
                .help = "each feature or channel to mean 0 and variance 1 over the batch "
                        "(torch.nn.BatchNorm1d, 2d)",
                .options = {{.key = "eps",
                             .type = OptionType::number,
                             .fallback = 1e-5,
                             .help = "added to the variance"},
                            {.key = "momentum",
                             .type = OptionType::number,
                             .fallback = 0.1,
                             .help = "weight of the new batch in the running statistics",
                             .min = 0,
                             .max = 1},
                            {.key = "affine",
                             .type = OptionType::boolean,
                             .fallback = true,
                             .help = "scale and shift by trained parameters"}},
                .make = [](const Options& options) {
                  return batch_norm({.eps = options.number("eps"),
                                     .momentum = options.number("momentum"),
                                     .affine = options.boolean("affine")});
                }});
}

}  // namespace descent::nn
