// Layer normalisation: y = (x - mean) / sqrt(variance + eps) * weight + bias over the last axes of
// each row, with the biased variance. Ba, Kiros & Hinton 2016; names and defaults of
// torch.nn.LayerNorm.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class LayerNorm final : public Module {
 public:
  explicit LayerNorm(LayerNormOptions options) : o_(options) {
    if (o_.axes >= 1 && o_.eps > 0) return;
    throw Error(ErrorKind::usage,
                fmt::format("axes {} must be at least 1 and eps {} above 0", o_.axes, o_.eps),
                "layer_norm");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.rank() <= o_.axes) {
      throw Error(ErrorKind::usage, fmt::format("layer_norm over the last {} axes cannot take {}",
                                                o_.axes, to_string(x.type())));
    }
    Shape unit;
    for (int axis = -o_.axes; axis < 0; ++axis) unit.push_back(x.shape()[axis]);
    Value weight, bias;
    if (o_.affine) weight = scope.parameter("weight", unit, ones(), false);
    if (o_.affine && o_.bias) bias = scope.parameter("bias", unit, zeros(), false);
    return descent::layer_norm(x, weight, bias, {o_.axes, o_.eps});
  }

  std::string describe() const override {
    if (o_.axes == 1) return o_.affine && !o_.bias ? "layer_norm(no bias)" : "layer_norm";
    return fmt::format("layer_norm({} axes{})", o_.axes, o_.affine && !o_.bias ? ", no bias" : "");
  }

 private:
  LayerNormOptions o_;
};

}  // namespace

Layer layer_norm(LayerNormOptions options) { return std::make_shared<const LayerNorm>(options); }

void register_layer_norm(LayerRegistry& registry) {
  registry.add({.name = "layer_norm",
                .help = "each row to mean 0 and variance 1 over its last axes (torch.nn.LayerNorm)",
                .options = {{.key = "axes",
                             .type = OptionType::integer,
                             .fallback = 1,
                             .help = "how many of the last axes are one unit",
                             .min = 1},
                            {.key = "eps",
                             .type = OptionType::number,
                             .fallback = 1e-5,
                             .help = "added to the variance"},
                            {.key = "affine",
                             .type = OptionType::boolean,
                             .fallback = true,
                             .help = "scale and shift by trained parameters"},
                            {.key = "bias",
                             .type = OptionType::boolean,
                             .fallback = true,
                             .help = "shift, where affine; false: scale only"}},
                .make = [](const Options& options) {
                  return layer_norm({.axes = static_cast<int>(options.integer("axes")),
                                     .eps = options.number("eps"),
                                     .affine = options.boolean("affine"),
                                     .bias = options.boolean("bias")});
                }});
}

}  // namespace descent::nn
