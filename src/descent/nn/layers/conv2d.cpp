// Convolution of images, as torch.nn.Conv2d (which computes the cross-correlation).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

// Zeros before and after along one axis so that ceil(size / stride) windows fit.
std::pair<std::int64_t, std::int64_t> same_padding(std::int64_t size, std::int64_t kernel,
                                                   std::int64_t stride, std::int64_t dilation) {
  const auto outputs = (size + stride - 1) / stride;
  const auto reach = (outputs - 1) * stride + dilation * (kernel - 1) + 1;
  const auto total = std::max<std::int64_t>(reach - size, 0);
  return {total / 2, total - total / 2};
}

class Conv2d final : public Module {
 public:
  explicit Conv2d(ConvOptions options) : o_(std::move(options)) {
    const auto least = std::min({o_.kernel.h, o_.kernel.w, o_.stride.h, o_.stride.w, o_.dilation.h,
                                 o_.dilation.w, o_.filters, o_.groups});
    if (least < 1 || std::min(o_.padding.amount.h, o_.padding.amount.w) < 0) {
      throw Error(ErrorKind::usage,
                  "filters, kernel, stride, dilation and groups must be at least 1, padding 0",
                  "conv2d");
    }
    if (o_.filters % o_.groups == 0) return;
    throw Error(ErrorKind::usage,
                fmt::format("{} filters cannot be shared by {} groups", o_.filters, o_.groups),
                "conv2d", "make filters a multiple of groups");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    check_input(x);
    const auto channels = x.shape()[1] / o_.groups;
    const auto weight =
        scope.parameter("weight", {o_.filters, channels, o_.kernel.h, o_.kernel.w}, o_.init);
    Value y = convolved(x, weight);
    if (!o_.bias) return y;
    const auto fan_in = channels * o_.kernel.h * o_.kernel.w;
    const auto bias = scope.parameter("bias", {o_.filters}, bias_init(fan_in), false);
    return y + reshape(bias, {o_.filters, 1, 1});
  }

  std::string describe() const override {
    auto text = fmt::format("conv2d({}, {}x{}", o_.filters, o_.kernel.h, o_.kernel.w);
    if (o_.stride != Size2d(1)) text += fmt::format(", stride {}x{}", o_.stride.h, o_.stride.w);
    if (o_.padding.keeps_size) {
      text += ", same padding";
    } else if (o_.padding.amount != Size2d(0)) {
      text += fmt::format(", padding {}x{}", o_.padding.amount.h, o_.padding.amount.w);
    }
    if (o_.dilation != Size2d(1)) {
      text += fmt::format(", dilation {}x{}", o_.dilation.h, o_.dilation.w);
    }
    if (o_.groups > 1) text += fmt::format(", {} groups", o_.groups);
    return text + (o_.bias ? ")" : ", no bias)");
  }

 private:
  void check_input(const Value& x) const {
    if (x.rank() != 4) {
      throw Error(ErrorKind::usage,
                  fmt::format("conv2d wants images [rows, channels, height, width], not {}",
                              to_string(x.type())));
    }
    if (x.shape()[1] % o_.groups == 0) return;
    throw Error(ErrorKind::usage, fmt::format("{} channels of {} cannot be cut into {} groups",
                                              x.shape()[1], to_string(x.type()), o_.groups));
  }

  Value convolved(const Value& x, const Value& weight) const {
    Conv2dOptions options{.stride_h = o_.stride.h,
                          .stride_w = o_.stride.w,
                          .pad_h = o_.padding.amount.h,
                          .pad_w = o_.padding.amount.w,
                          .dilation_h = o_.dilation.h,
                          .dilation_w = o_.dilation.w,
                          .groups = o_.groups};
    if (!o_.padding.keeps_size) return descent::conv2d(x, weight, options);
    const auto [top, bottom] = same_padding(x.shape()[2], o_.kernel.h, o_.stride.h, o_.dilation.h);
    const auto [left, right] = same_padding(x.shape()[3], o_.kernel.w, o_.stride.w, o_.dilation.w);
    options.pad_h = top;
    options.pad_w = left;
    // The odd zeros at the end, which the operation's symmetric padding cannot express.
    Value padded = x;
    if (bottom > top) padded = odd_zeros(padded, 2, options.pad_h, bottom);
    if (right > left) padded = odd_zeros(padded, 3, options.pad_w, right);
    return descent::conv2d(padded, weight, options);
  }

  // Writes the padding of one axis out as zeros and leaves none to the operation.
  static Value odd_zeros(const Value& x, int axis, std::int64_t& before, std::int64_t after) {
    return pad(x, axis, std::exchange(before, 0), after);
  }

  Initializer bias_init(std::int64_t fan_in) const {
    if (o_.bias_init) return o_.bias_init;
    return uniform(1 / std::sqrt(static_cast<double>(fan_in)));
  }

  ConvOptions o_;
};

// "same", "valid", "1", "1,2" or "[1, 2]".
Padding padding_of(const std::string& text) {
  if (text == "same") return Padding::same();
  if (text == "valid") return 0;
  const Option numbers{.key = "padding", .type = OptionType::integers, .min = 0};
  try {
    const auto value = parse_value(numbers, text, "conv2d");
    return size_of_list(std::get<std::vector<std::int64_t>>(value), "conv2d: padding");
  } catch (const Error&) {
    throw Error(ErrorKind::usage, fmt::format("padding \"{}\" cannot be read", text), "conv2d",
                "write \"same\", \"valid\", \"1\" or \"1,2\" (height, width)");
  }
}

Layer from_options(const Options& options) {
  ConvOptions wanted{.filters = options.integer("filters"),
                     .kernel = size_option(options, "kernel", "conv2d"),
                     .stride = size_option(options, "stride", "conv2d"),
                     .padding = padding_of(options.text("padding")),
                     .dilation = size_option(options, "dilation", "conv2d"),
                     .groups = options.integer("groups"),
                     .bias = options.boolean("bias"),
                     .init = initializer(options.text("init"), "conv2d: init")};
  if (const auto& text = options.text("bias_init"); text != "default") {
    wanted.bias_init = initializer(text, "conv2d: bias_init");
  }
  return conv2d(std::move(wanted));
}

}  // namespace

Layer conv2d(ConvOptions options) { return std::make_shared<const Conv2d>(std::move(options)); }

void register_conv2d(LayerRegistry& registry) {
  registry.add(
      {.name = "conv2d",
       .help = "filters moved over images [channels, height, width] (torch.nn.Conv2d)",
       .options = {{.key = "filters",
                    .type = OptionType::integer,
                    .help = "output channels",
                    .min = 1,
                    .required = true},
                   described_size("kernel", 3, 1, "height and width of a filter"),
                   described_size("stride", 1, 1, "steps between windows"),
                   {.key = "padding",
                    .fallback = "valid",
                    .help = "zeros around the image: \"valid\" (none), \"same\" (keeps the size), "
                            "\"1\" or \"1,2\""},
                   described_size("dilation", 1, 1, "steps between the inputs of a filter"),
                   {.key = "groups",
                    .type = OptionType::integer,
                    .fallback = 1,
                    .help = "groups of channels that do not mix",
                    .min = 1},
                   {.key = "bias",
                    .type = OptionType::boolean,
                    .fallback = true,
                    .help = "add a bias to each channel"},
                   {.key = "init",
                    .fallback = "default",
                    .help = "initialiser of the weight (default: as PyTorch)"},
                   {.key = "bias_init",
                    .fallback = "default",
                    .help = "initialiser of the bias (default: as PyTorch)"}},
       .make = from_options});
}

}  // namespace descent::nn
