// Root mean square normalisation: y = x / sqrt(mean(x^2) + eps) * weight over the last axes of each
// row. Zhang & Sennrich 2019; names and defaults of torch.nn.RMSNorm.
#include <fmt/format.h>

#include <limits>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class RmsNorm final : public Module {
 public:
  explicit RmsNorm(RmsNormOptions options) : o_(options) {
    if (o_.axes >= 1 && o_.eps.value_or(1) > 0) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("axes {} must be at least 1 and eps {} above 0", o_.axes, o_.eps.value_or(1)),
        "rms_norm");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.rank() <= o_.axes) {
      throw Error(ErrorKind::usage, fmt::format("rms_norm over the last {} axes cannot take {}",
                                                o_.axes, to_string(x.type())));
    }
    Shape unit;
    for (int axis = -o_.axes; axis < 0; ++axis) unit.push_back(x.shape()[axis]);
    const double machine = x.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                                       : std::numeric_limits<float>::epsilon();
    Value weight;
    if (o_.affine) weight = scope.parameter("weight", unit, ones(), false);
    return descent::rms_norm(x, weight, {o_.axes, o_.eps.value_or(machine)});
  }

  std::string describe() const override {
    return o_.axes == 1 ? "rms_norm" : fmt::format("rms_norm({} axes)", o_.axes);
  }

 private:
  RmsNormOptions o_;
};

}  // namespace

Layer rms_norm(RmsNormOptions options) { return std::make_shared<const RmsNorm>(options); }

void register_rms_norm(LayerRegistry& registry) {
  registry.add({.name = "rms_norm",
                .help = "each row to a mean square of 1 over its last axes (torch.nn.RMSNorm)",
                .options = {{.key = "axes",
                             .type = OptionType::integer,
                             .fallback = 1,
                             .help = "how many of the last axes are one unit",
                             .min = 1},
                            {.key = "eps",
                             .type = OptionType::number,
                             .help = "added to the mean square; none: the rounding of 1 in the "
                                     "type, 1.2e-7 in float32"},
                            {.key = "affine",
                             .type = OptionType::boolean,
                             .fallback = true,
                             .help = "scale by a trained weight"}},
                .make = [](const Options& o) {
                  RmsNormOptions wanted{.axes = static_cast<int>(o.integer("axes")),
                                        .affine = o.boolean("affine")};
                  if (o.has("eps")) wanted.eps = o.number("eps");
                  return rms_norm(wanted);
                }});
}

}  // namespace descent::nn
