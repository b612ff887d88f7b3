// Convolution of images and sequences, as torch.nn.Conv2d and Conv1d (which compute the
// cross-correlation), and depthwise: each channel by itself.
#include "descent/nn/convolution.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "descent/nn/images.h"
#include "descent/nn/product.h"

namespace descent::nn {
namespace {

// Padding before and after along one axis.
struct Sides {
  std::int64_t before, after;
};

// So much that ceil(size / stride) windows fit, an odd one after.
Sides same_padding(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                   std::int64_t dilation) {
  const auto outputs = (size + stride - 1) / stride;
  const auto reach = (outputs - 1) * stride + dilation * (kernel - 1) + 1;
  const auto total = std::max<std::int64_t>(reach - size, 0);
  return {total / 2, total - total / 2};
}

const char* name_of(PadMode mode) {
  constexpr const char* names[] = {"zeros", "reflect", "replicate", "circular"};
  return names[static_cast<int>(mode)];
}

class Convolution final : public Module {
 public:
  // Depthwise: `filters` counts those of each channel, and every channel is a group.
  Convolution(const char* kind, int axes, ConvOptions options, bool depthwise = false)
      : kind_(kind), axes_(axes), depthwise_(depthwise), o_(std::move(options)) {
    o_.kernel = on_images(o_.kernel, axes, 1, kind);
    o_.stride = on_images(o_.stride, axes, 1, kind);
    o_.dilation = on_images(o_.dilation, axes, 1, kind);
    o_.padding.amount = on_images(o_.padding.amount, axes, 0, kind);
    check_geometry({o_.filters, o_.kernel, o_.stride, o_.dilation, o_.groups}, kind);
    if (std::min(o_.padding.amount.h, o_.padding.amount.w) < 0) {
      throw Error(ErrorKind::usage, "padding must be at least 0", kind);
    }
  }

  Value operator()(Scope& scope, const Value& x) const override {
    check_images(x, kind_, axes_);
    const auto channels = x.shape()[1];
    const auto groups = depthwise_ ? channels : o_.groups;
    const auto filters = depthwise_ ? channels * o_.filters : o_.filters;
    check_groups(x, groups);
    const auto weight = scope.parameter(
        "weight", weight_shape(filters, channels / groups, o_.kernel, axes_), o_.init);
    const Value image = as_images(operand(scope, x), axes_);
    const Value y =
        from_images(convolved(image, as_images(operand(scope, weight), axes_), groups), axes_);
    return o_.bias ? y + channel_bias(scope, weight, filters, o_.bias_init) : y;
  }

  std::string describe() const override {
    auto text =
        fmt::format("{}({}{}", kind_, depthwise_ ? std::string() : fmt::format("{}, ", o_.filters),
                    size_text(o_.kernel, axes_));
    if (depthwise_ && o_.filters > 1) text += fmt::format(", {} for each channel", o_.filters);
    text += stride_text(o_.stride, axes_);
    if (o_.padding.keeps_size) {
      text += ", same padding";
    } else if (o_.padding.amount != Size2d(0)) {
      text += ", padding " + size_text(o_.padding.amount, axes_);
    }
    if (o_.padding_mode != PadMode::zeros) text += fmt::format(" ({})", name_of(o_.padding_mode));
    return text + rest_text(o_.dilation, o_.groups, o_.bias, axes_);
  }

 private:
  Value convolved(const Value& image, const Value& weight, std::int64_t groups) const {
    Conv2dOptions options{.stride_h = o_.stride.h,
                          .stride_w = o_.stride.w,
                          .dilation_h = o_.dilation.h,
                          .dilation_w = o_.dilation.w,
                          .groups = groups};
    auto rows = Sides{o_.padding.amount.h, o_.padding.amount.h};
    auto columns = Sides{o_.padding.amount.w, o_.padding.amount.w};
    if (o_.padding.keeps_size) {
      rows = same_padding(image.shape()[2], o_.kernel.h, o_.stride.h, o_.dilation.h);
      columns = same_padding(image.shape()[3], o_.kernel.w, o_.stride.w, o_.dilation.w);
    }
    const Value higher = padded(image, 2, rows, options.pad_h);
    return descent::conv2d(padded(higher, 3, columns, options.pad_w), weight, options);
  }

  // Leaves zeros to the operation, which can only put as many on both sides; writes all else out.
  Value padded(const Value& x, int axis, Sides sides, std::int64_t& left) const {
    if (o_.padding_mode == PadMode::zeros && sides.before == sides.after) {
      left = sides.before;
      return x;
    }
    return pad(x, axis, sides.before, sides.after, o_.padding_mode);
  }

  const char* kind_;
  int axes_;
  bool depthwise_;
  ConvOptions o_;
};

// "same", "valid", "1", "1,2" or "[1, 2]".
Padding padding_of(const std::string& text, const char* layer, int axes) {
  if (text == "same") return Padding::same();
  if (text == "valid") return 0;
  const Option numbers{.key = "padding", .type = OptionType::integers, .min = 0};
  try {
    const auto value = std::get<std::vector<std::int64_t>>(parse_value(numbers, text, layer));
    if (axes == 1 && value.size() == 1) return value[0];
    if (axes == 2) return size_of_list(value, fmt::format("{}: padding", layer));
  } catch (const Error&) {
    // Told below.
  }
  throw Error(ErrorKind::usage, fmt::format("padding \"{}\" cannot be read", text), layer,
              axes == 2 ? "write \"same\", \"valid\", \"1\" or \"1,2\" (height, width)"
                        : "write \"same\", \"valid\" or \"1\"");
}

PadMode mode_of(const std::string& text) {
  for (const auto mode : {PadMode::reflect, PadMode::replicate, PadMode::circular}) {
    if (text == name_of(mode)) return mode;
  }
  return PadMode::zeros;
}

std::vector<Option> padding_options(int axes) {
  return {{.key = "padding",
           .fallback = "valid",
           .help = axes == 2 ? "what is put around the image: \"valid\" (nothing), \"same\" (keeps "
                               "the size), \"1\" or \"1,2\" (height, width)"
                             : "what is put around the sequence: \"valid\" (nothing), \"same\" "
                               "(keeps the length) or \"1\""},
          {.key = "padding_mode",
           .fallback = "zeros",
           .help = "what padding repeats: zeros, the mirrored inside, the edge, or the other end",
           .choices = {"zeros", "reflect", "replicate", "circular"}}};
}

ConvOptions from_options(const Options& options, const char* layer, int axes) {
  ConvOptions wanted{.kernel = size_option(options, "kernel", layer),
                     .stride = size_option(options, "stride", layer),
                     .padding = padding_of(options.text("padding"), layer, axes),
                     .dilation = size_option(options, "dilation", layer),
                     .bias = options.boolean("bias"),
                     .init = weight_init(options, layer),
                     .bias_init = bias_init(options, layer),
                     .padding_mode = mode_of(options.text("padding_mode"))};
  wanted.filters = options.integer(options.has("filters") ? "filters" : "multiplier");
  if (options.has("groups")) wanted.groups = options.integer("groups");
  return wanted;
}

}  // namespace

Layer conv1d(ConvOptions options) {
  return std::make_shared<const Convolution>("conv1d", 1, std::move(options));
}

Layer conv2d(ConvOptions options) {
  return std::make_shared<const Convolution>("conv2d", 2, std::move(options));
}

Layer depthwise_conv2d(DepthwiseOptions options) {
  return std::make_shared<const Convolution>("depthwise_conv2d", 2,
                                             ConvOptions{.filters = options.multiplier,
                                                         .kernel = options.kernel,
                                                         .stride = options.stride,
                                                         .padding = options.padding,
                                                         .dilation = options.dilation,
                                                         .bias = options.bias,
                                                         .init = std::move(options.init),
                                                         .bias_init = std::move(options.bias_init),
                                                         .padding_mode = options.padding_mode},
                                             true);
}

void register_convolution(LayerRegistry& registry) {
  registry.add({.name = "conv1d",
                .help = "filters moved along sequences [channels, length] (torch.nn.Conv1d)",
                .options = joined({{filters_option()},
                                   geometry_options(1),
                                   padding_options(1),
                                   {groups_option()},
                                   parameter_options()}),
                .make = [](const Options& o) { return conv1d(from_options(o, "conv1d", 1)); }});
  registry.add({.name = "conv2d",
                .help = "filters moved over images [channels, height, width] (torch.nn.Conv2d)",
                .options = joined({{filters_option()},
                                   geometry_options(2),
                                   padding_options(2),
                                   {groups_option()},
                                   parameter_options()}),
                .make = [](const Options& o) { return conv2d(from_options(o, "conv2d", 2)); }});
  const Option multiplier{.key = "multiplier",
                          .type = OptionType::integer,
                          .fallback = 1,
                          .help = "filters of each channel",
                          .min = 1};
  registry.add({.name = "depthwise_conv2d",
                .help = "each channel convolved by itself: conv2d with as many groups as channels",
                .options = joined(
                    {{multiplier}, geometry_options(2), padding_options(2), parameter_options()}),
                .make = [](const Options& o) -> Layer {
                  return std::make_shared<const Convolution>(
                      "depthwise_conv2d", 2, from_options(o, "depthwise_conv2d", 2), true);
                }});
}

}  // namespace descent::nn
