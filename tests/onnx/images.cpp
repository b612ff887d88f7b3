// Convolution and pooling in two dimensions; one dimension as an image of height 1.
#include <algorithm>
#include <array>

#include "descent/autodiff/autodiff.h"
#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

struct Window {
  std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;
  std::int64_t span() const { return dilation * (kernel - 1) + 1; }
  std::int64_t out(std::int64_t extent) const {
    return (extent + before + after - span()) / stride + 1;
  }
};
using Windows = std::array<Window, 2>;

// With a height of 1 where there is none.
Value image(const Value& x) {
  if (x.rank() == 3) return expand_dims(x, 2);
  if (x.rank() != 4) throw Uncovered{"three dimensions"};
  return x;
}
Value like_input(const Value& y, const Node& n) { return n[0].rank() == 3 ? squeeze(y, 2) : y; }

// The windows over an image of these extents; a missing height stays 1.
Windows windows(const Node& n, const Value& x, std::vector<std::int64_t> kernel) {
  auto strides = n.integers("strides"), dilations = n.integers("dilations"),
       pads = n.integers("pads");
  const std::size_t dims = kernel.size(), skip = 2 - dims;
  if (strides.empty()) strides.assign(dims, 1);
  if (dilations.empty()) dilations.assign(dims, 1);
  if (pads.empty()) pads.assign(2 * dims, 0);
  const auto automatic = n.text("auto_pad", "NOTSET");
  Windows all;
  for (std::size_t i = 0; i < dims; ++i) {
    Window& w = all[i + skip];
    w = {kernel[i], strides[i], dilations[i], pads[i], pads[i + dims]};
    if (!automatic.starts_with("SAME")) continue;
    const auto extent = x.shape()[static_cast<int>(2 + i + skip)];
    const auto out = (extent + w.stride - 1) / w.stride;
    const auto total = std::max<std::int64_t>(0, (out - 1) * w.stride + w.span() - extent);
    w.before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.after = total - w.before;
  }
  return all;
}

Value padded(const Value& x, const Windows& w) {
  return pad(pad(x, 2, w[0].before, w[0].after), 3, w[1].before, w[1].after);
}

Conv2dOptions options_of(const Windows& w, std::int64_t groups) {
  return {.stride_h = w[0].stride,
          .stride_w = w[1].stride,
          .dilation_h = w[0].dilation,
          .dilation_w = w[1].dilation,
          .groups = groups};
}

Value with_bias(const Value& y, const Node& n) {
  return n.has(2) ? y + reshape(n[2], {1, n[2].shape()[0], 1, 1}) : y;
}

Values conv(const Node& n) {
  const Value x = image(n[0]), weight = image(n[1]);
  std::vector<std::int64_t> kernel(n[1].shape().begin() + 2, n[1].shape().end());
  const auto w = windows(n, x, kernel);
  auto o = options_of(w, n.integer("group", 1));
  const bool even = w[0].before == w[0].after && w[1].before == w[1].after;
  if (even) o.pad_h = w[0].before, o.pad_w = w[1].before;  // else: explicit zeros
  return {like_input(with_bias(conv2d(even ? x : padded(x, w), weight, o), n), n)};
}

// The gradient of a convolution with respect to its input, which takes images of y's extents to
// x's: what trains a convolutional layer is what is compared here.
Values conv_transpose(const Node& n) {
  const Value x = image(n[0]), weight = image(n[1]);
  std::vector<std::int64_t> kernel(n[1].shape().begin() + 2, n[1].shape().end());
  auto w = windows(n, x, kernel);
  const std::size_t skip = 2 - kernel.size();
  const auto more = n.integers("output_padding"), wanted = n.integers("output_shape");
  const auto automatic = n.text("auto_pad", "NOTSET");
  Shape full{x.shape()[0], weight.shape()[1] * n.integer("group", 1), 1, 1};
  std::array<std::int64_t, 2> out{1, 1};
  for (std::size_t i = skip; i < 2; ++i) {
    auto& a = w[i];
    const auto extra = more.empty() ? 0 : more[i - skip];
    const auto extent = x.shape()[static_cast<int>(2 + i)];
    const auto reach = (extent - 1) * a.stride + a.span() + extra;
    if (!wanted.empty() || automatic.starts_with("SAME")) {
      out[i] = wanted.empty() ? extent * a.stride : wanted[i - skip];
      const auto total = std::max<std::int64_t>(0, reach - out[i]);
      a.before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    } else {
      out[i] = reach - a.before - a.after;
    }
    full[static_cast<int>(2 + i)] = std::max(reach, a.before + out[i]);
  }
  const auto o = options_of(w, n.integer("group", 1));
  const Value zero = zeros({x.dtype(), full, false});
  const Fn forward = [&](ValueSpan in) { return Values{conv2d(in[0], weight, o)}; };
  Value y = vjp(forward, std::array{zero}).second(std::array{x})[0];
  for (std::size_t i = 0; i < 2; ++i)
    y = slice(y, static_cast<int>(2 + i), w[i].before, w[i].before + out[i]);
  return {like_input(with_bias(y, n), n)};
}

Pool2dOptions pool_options(const Windows& w) {
  return {.kernel_h = w[0].kernel,
          .kernel_w = w[1].kernel,
          .stride_h = w[0].stride,
          .stride_w = w[1].stride};
}

// The windows of a pooling; ceil_mode lets the last one hang over the end.
Windows pool_windows(const Node& n, const Value& x) {
  if (!is_floating(x.dtype())) throw Uncovered{"integers"};
  auto w = windows(n, x, n.integers("kernel_shape"));
  for (std::size_t i = 0; i < 2; ++i) {
    if (w[i].dilation != 1) throw Uncovered{"dilation of a pooling"};
    if (n.integer("ceil_mode", 0) == 0) continue;
    const auto extent = x.shape()[static_cast<int>(2 + i)] + w[i].before + w[i].after;
    const auto over = (extent - w[i].kernel) % w[i].stride;
    if (over != 0) w[i].after += w[i].stride - over;
  }
  return w;
}

// Zeros around the image would win over what is negative: they become very small.
Values max_pool(const Node& n) {
  const Value x = image(n[0]);
  const auto w = pool_windows(n, x);
  const Value far = (padded(ones_like(x), w) - 1.0) * 1e30;
  return {like_input(max_pool2d(padded(x, w) + far, pool_options(w)), n)};
}

// The mean over what is in the image: that of the values over that of ones.
Values average_pool(const Node& n) {
  const Value x = image(n[0]);
  const auto w = pool_windows(n, x);
  Value y = avg_pool2d(padded(x, w), pool_options(w));
  if (n.integer("count_include_pad", 0) == 0)
    y = y / avg_pool2d(padded(ones_like(x), w), pool_options(w));
  return {like_input(y, n)};
}

}  // namespace

void add_images(Table& table) {
  table["Conv"] = conv;
  table["ConvTranspose"] = conv_transpose;
  table["MaxPool"] = max_pool;
  table["AveragePool"] = average_pool;
  table["GlobalAveragePool"] = [](const Node& n) { return Values{mean(n[0], {2, 3}, true)}; };
  table["GlobalMaxPool"] = [](const Node& n) { return Values{max(n[0], {2, 3}, true)}; };
}

}  // namespace descent::onnx_test
