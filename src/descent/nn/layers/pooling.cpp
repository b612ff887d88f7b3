// Pooling of images [N, C, H, W] and sequences [N, C, L], as torch.nn.MaxPool2d, AvgPool2d,
// AdaptiveMaxPool2d(1), AdaptiveAvgPool2d(1) and their likes for one axis.
#include <algorithm>

#include "descent/nn/images.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

using Operation = Value (*)(const Value&, const Pool2dOptions&);

class Pool final : public Module {
 public:
  Pool(const char* kind, int axes, Operation operation, const PoolOptions& options)
      : kind_(kind),
        axes_(axes),
        operation_(operation),
        kernel_(on_images(options.kernel, axes, 1, kind)),
        stride_(on_images(options.stride.value_or(options.kernel), axes, 1, kind)),
        padding_(on_images(options.padding, axes, 0, kind)) {
    if (std::min({kernel_.h, kernel_.w, stride_.h, stride_.w}) < 1 ||
        std::min(padding_.h, padding_.w) < 0) {
      throw Error(ErrorKind::usage, "kernel and stride must be at least 1, padding 0", kind_);
    }
    // Else a window could lie in the padding alone, and its maximum would be of nothing.
    if (2 * padding_.h <= kernel_.h && 2 * padding_.w <= kernel_.w) return;
    throw Error(ErrorKind::usage,
                fmt::format("padding {} is more than half the kernel {}",
                            size_text(padding_, axes_), size_text(kernel_, axes_)),
                kind_);
  }

  Value operator()(Scope&, const Value& x) const override {
    check_images(x, kind_, axes_);
    const Value images = as_images(x, axes_);
    if (images.shape()[2] + 2 * padding_.h < kernel_.h ||
        images.shape()[3] + 2 * padding_.w < kernel_.w) {
      throw Error(ErrorKind::usage,
                  fmt::format("windows of {} do not fit into {}", size_text(kernel_, axes_),
                              to_string(x.type())),
                  {}, "use fewer pooling layers, a smaller kernel or padding");
    }
    return from_images(operation_(images, {.kernel_h = kernel_.h,
                                           .kernel_w = kernel_.w,
                                           .stride_h = stride_.h,
                                           .stride_w = stride_.w,
                                           .pad_h = padding_.h,
                                           .pad_w = padding_.w}),
                       axes_);
  }

  std::string describe() const override {
    auto text = fmt::format("{}({}", kind_, size_text(kernel_, axes_));
    if (stride_ != kernel_) text += ", stride " + size_text(stride_, axes_);
    if (padding_ != Size2d(0)) text += ", padding " + size_text(padding_, axes_);
    return text + ")";
  }

 private:
  const char* kind_;
  int axes_;
  Operation operation_;
  Size2d kernel_, stride_, padding_;
};

// One window of the whole image.
class GlobalPool final : public Module {
 public:
  GlobalPool(const char* kind, int axes, Operation operation)
      : kind_(kind), axes_(axes), operation_(operation) {}

  Value operator()(Scope&, const Value& x) const override {
    check_images(x, kind_, axes_);
    const Value images = as_images(x, axes_);
    const auto& s = images.shape();
    const Pool2dOptions all{.kernel_h = s[2], .kernel_w = s[3], .stride_h = s[2], .stride_w = s[3]};
    return reshape(operation_(images, all), {s[0], s[1]});
  }
  std::string describe() const override { return kind_; }

 private:
  const char* kind_;
  int axes_;
  Operation operation_;
};

std::vector<Option> pool_options(int axes) {
  auto stride =
      described_size("stride", 1, 1, "steps between windows; none: the kernel's size", axes);
  stride.fallback = {};
  return {described_size("kernel", 2, 1,
                         axes == 2 ? "height and width of a window" : "length of a window", axes),
          stride,
          described_size("padding", 0, 0,
                         "around the " + std::string(axes == 2 ? "image" : "sequence") +
                             ", at most half the kernel",
                         axes)};
}

// A pooling layer under its name.
LayerRegistry::Entry entry(const char* name, int axes, const std::string& help,
                           Layer (*make)(PoolOptions)) {
  return {.name = name, .help = help, .options = pool_options(axes), .make = [=](const Options& o) {
            PoolOptions wanted{.kernel = size_option(o, "kernel", name),
                               .padding = size_option(o, "padding", name)};
            if (o.has("stride")) wanted.stride = size_option(o, "stride", name);
            return make(wanted);
          }};
}

LayerRegistry::Entry global_entry(const char* name, const std::string& help, Layer (*make)()) {
  return {
      .name = name, .help = help, .options = {}, .make = [=](const Options&) { return make(); }};
}

}  // namespace

Layer max_pool1d(PoolOptions options) {
  return std::make_shared<const Pool>("max_pool1d", 1, &descent::max_pool2d, options);
}
Layer avg_pool1d(PoolOptions options) {
  return std::make_shared<const Pool>("avg_pool1d", 1, &descent::avg_pool2d, options);
}
Layer max_pool2d(PoolOptions options) {
  return std::make_shared<const Pool>("max_pool2d", 2, &descent::max_pool2d, options);
}
Layer avg_pool2d(PoolOptions options) {
  return std::make_shared<const Pool>("avg_pool2d", 2, &descent::avg_pool2d, options);
}
Layer global_avg_pool1d() {
  return std::make_shared<const GlobalPool>("global_avg_pool1d", 1, &descent::avg_pool2d);
}
Layer global_max_pool1d() {
  return std::make_shared<const GlobalPool>("global_max_pool1d", 1, &descent::max_pool2d);
}
Layer global_avg_pool2d() {
  return std::make_shared<const GlobalPool>("global_avg_pool2d", 2, &descent::avg_pool2d);
}
Layer global_max_pool2d() {
  return std::make_shared<const GlobalPool>("global_max_pool2d", 2, &descent::max_pool2d);
}

void register_pooling(LayerRegistry& registry) {
  registry.add(entry("max_pool1d", 1, "maximum of each window (torch.nn.MaxPool1d)", max_pool1d));
  registry.add(entry("max_pool2d", 2, "maximum of each window (torch.nn.MaxPool2d)", max_pool2d));
  registry.add(entry("avg_pool1d", 1,
                     "mean of each window, padding counted as zeros (torch.nn.AvgPool1d)",
                     avg_pool1d));
  registry.add(entry("avg_pool2d", 2,
                     "mean of each window, padding counted as zeros (torch.nn.AvgPool2d)",
                     avg_pool2d));
  const std::string images = " of each channel: [channels, height, width] to [channels]";
  const std::string sequences = " of each channel: [channels, length] to [channels]";
  registry.add(global_entry("global_avg_pool1d", "mean" + sequences, global_avg_pool1d));
  registry.add(global_entry("global_max_pool1d", "maximum" + sequences, global_max_pool1d));
  registry.add(global_entry("global_avg_pool2d", "mean" + images, global_avg_pool2d));
  registry.add(global_entry("global_max_pool2d", "maximum" + images, global_max_pool2d));
}

}  // namespace descent::nn
