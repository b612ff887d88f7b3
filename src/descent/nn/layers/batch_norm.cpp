// Batch normalisation: y = (x - mean) / sqrt(variance + eps) * weight + bias for each feature of
// [N, F] or channel of [N, C, ...]. Ioffe & Szegedy 2015; names and defaults of
// torch.nn.BatchNorm1d and 2d. Training takes mean and (biased) variance of the whole batch, over
// all shards, so that the result does not depend on how the batch was cut; running statistics move
// by `momentum` towards them, the variance as its unbiased estimate. Evaluation uses the running
// statistics.
#include <fmt/format.h>

#include "descent/autodiff/autodiff.h"
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

    const Value running_mean = scope.buffer("running_mean", {features}, zeros()),
                running_variance = scope.buffer("running_var", {features}, ones());
    const Type per_feature{x.dtype(), {features}, false};
    const Value weight =
        o_.affine ? scope.parameter("weight", {features}, ones(), false) : full(per_feature, 1);
    const Value bias =
        o_.affine ? scope.parameter("bias", {features}, zeros(), false) : full(per_feature, 0);
    if (!scope.training()) {
      const Value scale = rsqrt(running_variance + o_.eps) * weight;
      return (x - reshape(running_mean, wide)) * reshape(scale, wide) + reshape(bias, wide);
    }
    const Values out = normalised(x, weight, bias, wide);
    const Value variance = unbiased(out[2], x);
    const bool alone = scope.batch_statistics;
    scope.update_buffer("running_mean",
                        alone ? stop_gradient(out[1]) : moved(running_mean, out[1]));
    scope.update_buffer("running_var",
                        alone ? stop_gradient(variance) : moved(running_variance, variance));
    return out[0];
  }

  std::string describe() const override {
    return fmt::format("batch_norm{}", o_.affine ? "" : "(not affine)");
  }

 private:
  // {y, mean, variance}. With r = 1 / sqrt(variance + eps), z = (x - mean) r, y = z weight + bias
  // and the batch's means M: d bias = sum g, d weight = sum g z, dx = r weight (g - M(g) - z M(g
  // z)). The chain rule through mean and variance gives the same numbers in twice as many passes
  // over x.
  Values normalised(const Value& x, const Value& weight, const Value& bias,
                    const Shape& wide) const {
    const double eps = o_.eps;
    const auto axes = reduced_axes(x.rank());
    const Fn forward = [=](ValueSpan in) {
      const Value mean = batch_mean(in[0], axes);
      const Value centred = in[0] - reshape(mean, wide);
      const Value variance = batch_mean(square(centred), axes);
      const Value scale = rsqrt(variance + eps) * in[1];
      return Values{centred * reshape(scale, wide) + reshape(in[2], wide), mean, variance};
    };
    const Pullback backward = [=](ValueSpan in, ValueSpan out, ValueSpan g) -> Values {
      const Value &value = in[0], &mean = out[1], &variance = out[2];
      const Value centred = value - reshape(mean, wide);
      const Value n = batch_size(value) * (static_cast<double>(value.shape().size()) /
                                           static_cast<double>(value.shape()[0] * wide[0]));
      Values result(3);
      if (g[0]) {
        const Value r = rsqrt(variance + eps);
        // Both sums before either is waited for: one pass over g.
        const Value own_total = sum(g[0], axes), own_along = sum(g[0] * centred, axes);
        const Value total = all_reduce_sum(own_total), along = all_reduce_sum(own_along);
        const Value scale = r * in[1], slope = scale * square(r) * along / n;
        result[0] = reshape(scale, wide) * g[0] -
                    (reshape(slope, wide) * centred + reshape(scale * total / n, wide));
        result[1] = along * r;
        result[2] = total;
      }
      const auto add = [&result](const Value& v) { result[0] = result[0] ? result[0] + v : v; };
      if (g[1]) add(broadcast_to(reshape(g[1] / n, wide), value.shape()));
      if (g[2]) add(reshape(2.0 * g[2] / n, wide) * centred);
      return result;
    };
    return with_derivative(forward, backward, Values{x, weight, bias});
  }

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
