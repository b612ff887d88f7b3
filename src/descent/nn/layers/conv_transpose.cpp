// Transposed convolution, as torch.nn.ConvTranspose2d and 1d: the derivative of a convolution for
// its input, so that it enlarges where that one makes smaller. weight [inputs, filters / groups,
// kernel...]; extent (n - 1) stride - 2 padding + dilation (kernel - 1) + 1 + output_padding.
#include <algorithm>

#include "descent/nn/convolution.h"
#include "descent/nn/images.h"
#include "descent/nn/product.h"

namespace descent::nn {
namespace {

class ConvTranspose final : public Module {
 public:
  ConvTranspose(const char* kind, int axes, ConvTransposeOptions options)
      : kind_(kind), axes_(axes), o_(std::move(options)) {
    o_.kernel = on_images(o_.kernel, axes, 1, kind);
    o_.stride = on_images(o_.stride, axes, 1, kind);
    o_.dilation = on_images(o_.dilation, axes, 1, kind);
    o_.padding = on_images(o_.padding, axes, 0, kind);
    o_.output_padding = on_images(o_.output_padding, axes, 0, kind);
    check_geometry({o_.filters, o_.kernel, o_.stride, o_.dilation, o_.groups}, kind);
    check_output_padding(o_.output_padding.h, std::max(o_.stride.h, o_.dilation.h));
    check_output_padding(o_.output_padding.w, std::max(o_.stride.w, o_.dilation.w));
    if (std::min(o_.padding.h, o_.padding.w) >= 0) return;
    throw Error(ErrorKind::usage, "padding must be at least 0", kind);
  }

  Value operator()(Scope& scope, const Value& x) const override {
    check_images(x, kind_, axes_);
    check_groups(x, o_.groups);
    const auto weight = scope.parameter(
        "weight", weight_shape(x.shape()[1], o_.filters / o_.groups, o_.kernel, axes_), o_.init);
    const Conv2dOptions options{.stride_h = o_.stride.h,
                                .stride_w = o_.stride.w,
                                .pad_h = o_.padding.h,
                                .pad_w = o_.padding.w,
                                .dilation_h = o_.dilation.h,
                                .dilation_w = o_.dilation.w,
                                .groups = o_.groups};
    const Value image = as_images(operand(scope, x), axes_);
    const Value y =
        from_images(descent::conv_transpose2d(image, as_images(operand(scope, weight), axes_),
                                              options, o_.output_padding.h, o_.output_padding.w),
                    axes_);
    return o_.bias ? y + channel_bias(scope, weight, o_.filters, o_.bias_init) : y;
  }

  std::string describe() const override {
    auto text = fmt::format("{}({}, {}{}", kind_, o_.filters, size_text(o_.kernel, axes_),
                            stride_text(o_.stride, axes_));
    if (o_.padding != Size2d(0)) text += ", padding " + size_text(o_.padding, axes_);
    if (o_.output_padding != Size2d(0)) {
      text += ", output padding " + size_text(o_.output_padding, axes_);
    }
    return text + rest_text(o_.dilation, o_.groups, o_.bias, axes_);
  }

 private:
  // More would be zeros that no input reaches; PyTorch's rule.
  void check_output_padding(std::int64_t amount, std::int64_t bound) const {
    if (amount >= 0 && amount < bound) return;
    throw Error(ErrorKind::usage,
                fmt::format("output_padding {} must be smaller than stride or dilation ({})",
                            amount, bound),
                kind_);
  }

  const char* kind_;
  int axes_;
  ConvTransposeOptions o_;
};

std::vector<Option> options_of(int axes) {
  const std::vector<Option> paddings{
      described_size("padding", 0, 0, "taken away from each side of the result", axes),
      described_size("output_padding", 0, 0,
                     "added to the end of the result, smaller than stride or dilation", axes)};
  return joined({{filters_option()},
                 geometry_options(axes),
                 paddings,
                 {groups_option()},
                 parameter_options()});
}

ConvTransposeOptions from_options(const Options& options, const char* layer) {
  return {.filters = options.integer("filters"),
          .kernel = size_option(options, "kernel", layer),
          .stride = size_option(options, "stride", layer),
          .padding = size_option(options, "padding", layer),
          .output_padding = size_option(options, "output_padding", layer),
          .dilation = size_option(options, "dilation", layer),
          .groups = options.integer("groups"),
          .bias = options.boolean("bias"),
          .init = weight_init(options, layer),
          .bias_init = bias_init(options, layer)};
}

}  // namespace

Layer conv_transpose1d(ConvTransposeOptions options) {
  return std::make_shared<const ConvTranspose>("conv_transpose1d", 1, std::move(options));
}

Layer conv_transpose2d(ConvTransposeOptions options) {
  return std::make_shared<const ConvTranspose>("conv_transpose2d", 2, std::move(options));
}

void register_conv_transpose(LayerRegistry& registry) {
  registry.add({.name = "conv_transpose1d",
                .help = "transpose of conv1d: longer sequences from short ones "
                        "(torch.nn.ConvTranspose1d)",
                .options = options_of(1),
                .make = [](const Options& o) {
                  return conv_transpose1d(from_options(o, "conv_transpose1d"));
                }});
  registry.add({.name = "conv_transpose2d",
                .help = "transpose of conv2d: larger images from small ones "
                        "(torch.nn.ConvTranspose2d)",
                .options = options_of(2),
                .make = [](const Options& o) {
                  return conv_transpose2d(from_options(o, "conv_transpose2d"));
                }});
}

}  // namespace descent::nn
