#include "descent/nn/convolution.h"

#include <algorithm>
#include <cmath>

#include "descent/nn/images.h"

namespace descent::nn {

void check_geometry(const ConvGeometry& g, const char* layer) {
  if (std::min({g.kernel.h, g.kernel.w, g.stride.h, g.stride.w, g.dilation.h, g.dilation.w,
                g.filters, g.groups}) < 1) {
    throw Error(ErrorKind::usage, "filters, kernel, stride, dilation and groups must be at least 1",
                layer);
  }
  if (g.filters % g.groups == 0) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} filters cannot be shared by {} groups", g.filters, g.groups), layer,
              "make filters a multiple of groups");
}

void check_groups(const Value& x, std::int64_t groups) {
  if (x.shape()[1] % groups == 0) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} channels of {} cannot be cut into {} groups", x.shape()[1],
                          to_string(x.type()), groups),
              {}, "let groups divide the channels");
}

Shape weight_shape(std::int64_t outer, std::int64_t inner, Size2d kernel, int axes) {
  return axes == 2 ? Shape{outer, inner, kernel.h, kernel.w} : Shape{outer, inner, kernel.w};
}

Value channel_bias(Scope& scope, const Value& weight, std::int64_t channels,
                   const Initializer& init) {
  const auto as_pytorch = uniform(1 / std::sqrt(fans(weight.shape()).first));
  const auto bias = scope.parameter("bias", {channels}, init ? init : as_pytorch, false);
  return reshape(bias, weight.rank() == 4 ? Shape{channels, 1, 1} : Shape{channels, 1});
}

std::string stride_text(Size2d stride, int axes) {
  return stride == Size2d(1) ? "" : ", stride " + size_text(stride, axes);
}

std::string rest_text(Size2d dilation, std::int64_t groups, bool bias, int axes) {
  std::string text;
  if (dilation != Size2d(1)) text += ", dilation " + size_text(dilation, axes);
  if (groups > 1) text += fmt::format(", {} groups", groups);
  return text + (bias ? ")" : ", no bias)");
}

Option filters_option() {
  return {.key = "filters",
          .type = OptionType::integer,
          .help = "output channels",
          .min = 1,
          .required = true};
}

Option groups_option() {
  return {.key = "groups",
          .type = OptionType::integer,
          .fallback = 1,
          .help = "groups of channels that do not mix",
          .min = 1};
}

std::vector<Option> geometry_options(int axes) {
  return {described_size("kernel", 3, 1,
                         axes == 2 ? "height and width of a filter" : "length of a filter", axes),
          described_size("stride", 1, 1, "steps between windows", axes),
          described_size("dilation", 1, 1, "steps between the inputs of a filter", axes)};
}

std::vector<Option> parameter_options() {
  return {{.key = "bias",
           .type = OptionType::boolean,
           .fallback = true,
           .help = "add a bias to each channel"},
          {.key = "init",
           .fallback = "default",
           .help = "initialiser of the weight (default: as PyTorch)"},
          {.key = "bias_init",
           .fallback = "default",
           .help = "initialiser of the bias (default: as PyTorch)"}};
}

Initializer weight_init(const Options& options, const std::string& layer) {
  return initializer(options.text("init"), layer + ": init");
}

Initializer bias_init(const Options& options, const std::string& layer) {
  const auto& text = options.text("bias_init");
  return text == "default" ? Initializer() : initializer(text, layer + ": bias_init");
}

std::vector<Option> joined(const std::vector<std::vector<Option>>& parts) {
  std::vector<Option> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace descent::nn
