// Pooling of images [N, C, H, W], as torch.nn.MaxPool2d, AvgPool2d and AdaptiveAvgPool2d(1).
#include <fmt/format.h>

#include <algorithm>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

void check_images(const Value& x, const char* layer) {
  if (x.rank() == 4) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} wants images [rows, channels, height, width], not {}", layer,
                          to_string(x.type())));
}

class Pool2d final : public Module {
 public:
  using Operation = Value (*)(const Value&, const Pool2dOptions&);

  Pool2d(const char* kind, Operation operation, const PoolOptions& options)
      : kind_(kind), operation_(operation) {
    const auto stride = options.stride.value_or(options.kernel);
    o_ = {.kernel_h = options.kernel.h,
          .kernel_w = options.kernel.w,
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = options.padding.h,
          .pad_w = options.padding.w};
    if (std::min({o_.kernel_h, o_.kernel_w, o_.stride_h, o_.stride_w}) < 1 ||
        std::min(o_.pad_h, o_.pad_w) < 0) {
      throw Error(ErrorKind::usage, "kernel and stride must be at least 1, padding 0", kind_);
    }
    // Else a window could lie in the padding alone, and its maximum would be of nothing.
    if (2 * o_.pad_h > o_.kernel_h || 2 * o_.pad_w > o_.kernel_w) {
      throw Error(ErrorKind::usage,
                  fmt::format("padding {}x{} is more than half the kernel {}x{}", o_.pad_h,
                              o_.pad_w, o_.kernel_h, o_.kernel_w),
                  kind_);
    }
  }

  Value operator()(Scope&, const Value& x) const override {
    check_images(x, kind_);
    if (x.shape()[2] + 2 * o_.pad_h < o_.kernel_h || x.shape()[3] + 2 * o_.pad_w < o_.kernel_w) {
      throw Error(ErrorKind::usage,
                  fmt::format("windows of {}x{} do not fit into {}", o_.kernel_h, o_.kernel_w,
                              to_string(x.type())),
                  {}, "use fewer pooling layers, a smaller kernel or padding");
    }
    return operation_(x, o_);
  }

  std::string describe() const override {
    auto text = fmt::format("{}({}x{}", kind_, o_.kernel_h, o_.kernel_w);
    if (o_.stride_h != o_.kernel_h || o_.stride_w != o_.kernel_w) {
      text += fmt::format(", stride {}x{}", o_.stride_h, o_.stride_w);
    }
    if (o_.pad_h > 0 || o_.pad_w > 0) text += fmt::format(", padding {}x{}", o_.pad_h, o_.pad_w);
    return text + ")";
  }

 private:
  const char* kind_;
  Operation operation_;
  Pool2dOptions o_;
};

class GlobalAveragePool2d final : public Module {
 public:
  Value operator()(Scope&, const Value& x) const override {
    check_images(x, "global_avg_pool2d");
    const auto& s = x.shape();
    const Pool2dOptions all{.kernel_h = s[2], .kernel_w = s[3], .stride_h = s[2], .stride_w = s[3]};
    return reshape(avg_pool2d(x, all), {s[0], s[1]});
  }
  std::string describe() const override { return "global_avg_pool2d"; }
};

std::vector<Option> pool_options() {
  return {described_size("kernel", 2, 1, "height and width of a window"),
          {.key = "stride",
           .type = OptionType::integers,
           .help = "steps between windows: one number, or [height, width]; none: the kernel's size",
           .min = 1},
          described_size("padding", 0, 0, "rows and columns around the image")};
}

PoolOptions pool_from(const Options& options, const std::string& layer) {
  PoolOptions wanted{.kernel = size_option(options, "kernel", layer),
                     .padding = size_option(options, "padding", layer)};
  if (options.has("stride")) wanted.stride = size_option(options, "stride", layer);
  return wanted;
}

}  // namespace

Layer max_pool2d(PoolOptions options) {
  return std::make_shared<const Pool2d>("max_pool2d", &descent::max_pool2d, options);
}

Layer avg_pool2d(PoolOptions options) {
  return std::make_shared<const Pool2d>("avg_pool2d", &descent::avg_pool2d, options);
}

Layer global_avg_pool2d() { return std::make_shared<const GlobalAveragePool2d>(); }

void register_pooling(LayerRegistry& registry) {
  registry.add({.name = "max_pool2d",
                .help = "maximum of each window (torch.nn.MaxPool2d)",
                .options = pool_options(),
                .make = [](const Options& o) { return max_pool2d(pool_from(o, "max_pool2d")); }});
  registry.add({.name = "avg_pool2d",
                .help = "mean of each window, padding counted as zeros (torch.nn.AvgPool2d)",
                .options = pool_options(),
                .make = [](const Options& o) { return avg_pool2d(pool_from(o, "avg_pool2d")); }});
  registry.add({.name = "global_avg_pool2d",
                .help = "mean of each channel: [channels, height, width] to [channels]",
                .options = {},
                .make = [](const Options&) { return global_avg_pool2d(); }});
}

}  // namespace descent::nn
