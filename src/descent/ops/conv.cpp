// Two-dimensional convolution. Its three kernels are the three partial derivatives of one trilinear
// form <g, conv(x, w)>, so each is differentiated by the other two, to any order.
#include <fmt/format.h>

#include "descent/ir/op.h"
#include "descent/kernels/convolution.h"
#include "descent/ops/bilinear.h"
#include "descent/ops/layout.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

using kernels::ConvKind;
using kernels::ConvShape;

struct ConvOp final : OpBase<ConvOp> {
  ConvOp(ConvKind k, Conv2dOptions o, std::int64_t h = 0, std::int64_t w = 0, bool l = false)
      : kind(k), options(o), extent_h(h), extent_w(w), last(l) {}
  ConvKind kind;
  Conv2dOptions options;
  std::int64_t extent_h, extent_w;  // of the result, where the operands do not determine it
  bool last;                        // images are [n, h, w, c]
  bool operator==(const ConvOp&) const = default;

  std::string_view name() const override {
    return kind == ConvKind::forward          ? "conv2d"
           : kind == ConvKind::input_gradient ? "conv2d_input_gradient"
                                              : "conv2d_weight_gradient";
  }
  std::string attributes() const override {
    const auto& o = options;
    return fmt::format("stride {}x{}, padding {}x{}, dilation {}x{}, groups {}{}", o.stride_h,
                       o.stride_w, o.pad_h, o.pad_w, o.dilation_h, o.dilation_w, o.groups,
                       last ? ", channels last" : "");
  }

  // [n, c, h, w] of an image as it lies, and the reverse.
  Shape first(const Shape& s) const { return last ? Shape{s[0], s[3], s[1], s[2]} : s; }
  Shape image(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return last ? Shape{n, h, w, c} : Shape{n, c, h, w};
  }

  ConvShape shape(std::span<const Type> in) const {
    const auto a = first(in[0].shape);
    const auto b = kind == ConvKind::weight_gradient ? first(in[1].shape) : in[1].shape;
    ConvShape s;
    s.channels_last = last;
    s.stride_h = options.stride_h, s.stride_w = options.stride_w;
    s.pad_h = options.pad_h, s.pad_w = options.pad_w;
    s.dilation_h = options.dilation_h, s.dilation_w = options.dilation_w;
    s.groups = options.groups;
    s.dtype = in[0].dtype;
    s.n = a[0];
    if (kind == ConvKind::forward) {
      s.c = a[1], s.h = a[2], s.w = a[3], s.k = b[0], s.r = b[2], s.s = b[3];
    } else if (kind == ConvKind::input_gradient) {  // g, weight
      s.c = b[1] * options.groups, s.h = extent_h, s.w = extent_w, s.k = b[0], s.r = b[2],
      s.s = b[3];
    } else {  // x, g
      s.c = a[1], s.h = a[2], s.w = a[3], s.k = b[1], s.r = extent_h, s.s = extent_w;
    }
    return s;
  }

  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].shape.rank() != 4 || in[1].shape.rank() != 4) {
      fail("wants [rows, channels, height, width] and [filters, channels / groups, height, width]",
           in, "reshape flat rows to images first");
    }
    if (in[0].dtype != in[1].dtype)
      fail("the types of the operands differ", in, "cast() one of them");
    const auto s = shape(in);
    const bool per_shard = any_per_shard(in);
    if (kind == ConvKind::input_gradient)
      return {{s.result(), image(s.n, s.c, s.h, s.w), per_shard}};
    if (kind == ConvKind::weight_gradient)
      return {{s.result(), {s.k, s.c / s.groups, s.r, s.s}, per_shard}};
    if (s.c % s.groups != 0 || s.k % s.groups != 0)
      fail("groups must divide the channels and the filters", in);
    if (in[1].shape[1] * s.groups != s.c) {
      fail(fmt::format("the input has {} channels, the weight wants {}", s.c,
                       in[1].shape[1] * s.groups),
           in);
    }
    if (s.h + 2 * s.pad_h < s.dilation_h * (s.r - 1) + 1 ||
        s.w + 2 * s.pad_w < s.dilation_w * (s.s - 1) + 1) {
      fail("the kernel is larger than the image", in, "pad the image, or use a smaller kernel");
    }
    return {{s.result(), image(s.n, s.k, s.out_h(), s.out_w()), per_shard}};
  }

  ConvOp with(ConvKind k, std::int64_t h = 0, std::int64_t w = 0) const {
    return {k, options, h, w, last};
  }
  ConvOp input_gradient(const Shape& x) const {
    const Shape s = first(x);
    return with(ConvKind::input_gradient, s[2], s[3]);
  }
  ConvOp weight_gradient(const Shape& w) const {
    return with(ConvKind::weight_gradient, w[2], w[3]);
  }

  // float64 is unfolded from planes.
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (last || in[0].dtype() == DType::float64) return std::nullopt;
    ConvOp turned = *this;
    turned.last = true;
    if (kind == ConvKind::weight_gradient)
      return Values{apply(turned, {to_last(in[0]), to_last(in[1])})};
    return Values{to_first(apply(turned, {to_last(in[0]), in[1]}))};
  }

  Values vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const override {
    const Value &a = in[0], &b = in[1], h = cast(cotangent[0], a.dtype());
    switch (kind) {
      case ConvKind::forward:  // x, w
        return {apply(input_gradient(a.shape()), {h, b}),
                apply(weight_gradient(b.shape()), {a, h})};
      case ConvKind::input_gradient:  // g, w
        return {apply(with(ConvKind::forward), {h, b}), apply(weight_gradient(b.shape()), {h, a})};
      default:  // x, g
        return {apply(input_gradient(a.shape()), {b, h}), apply(with(ConvKind::forward), {a, h})};
    }
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const override {
    return bilinear_jvp(*this, in, tangent);
  }

  Kernel bind(const Binding& b) const override {
    const kernels::Convolution convolution(kind, shape(b.in_types));
    return whole(convolution.bind(b.in[0], b.in[1], b.out[0], b.scratch));
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::Convolution(kind, shape(in)).scratch_bytes();
  }
  int copies(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::Convolution(kind, shape(in)).copies();
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    const auto s = shape(in);
    const std::int64_t per_output = s.c / s.groups * s.r * s.s;
    return 2.0 * static_cast<double>(s.n * s.k * s.out_h() * s.out_w() * per_output);
  }
};

}  // namespace

Value conv2d(const Value& x, const Value& weight, const Conv2dOptions& options) {
  return apply(ConvOp(ConvKind::forward, options), {x, weight});
}

Value conv_transpose2d(const Value& x, const Value& weight, const Conv2dOptions& options,
                       std::int64_t output_pad_h, std::int64_t output_pad_w) {
  const auto fail = [&](const std::string& what, const std::string& remedy) {
    throw Error(ErrorKind::usage,
                fmt::format("conv_transpose2d({}, {}): {}", to_string(x.type()),
                            to_string(weight.type()), what),
                {}, remedy);
  };
  const auto &a = x.shape(), &w = weight.shape();
  if (a.rank() != 4 || w.rank() != 4) {
    fail("wants [rows, channels, height, width] and [channels, filters / groups, height, width]",
         "reshape flat rows to images first");
  }
  if (a[1] != w[0] || w[0] % options.groups != 0) {
    fail(fmt::format("the weight wants {} channels in {} groups", w[0], options.groups),
         "let the weight begin with the channels, a multiple of the groups");
  }
  // A row of zeros at the end of x makes the result longer by a stride.
  const Value higher = pad(x, 2, 0, output_pad_h / options.stride_h);
  const Value padded = pad(higher, 3, 0, output_pad_w / options.stride_w);
  const auto h = (padded.shape()[2] - 1) * options.stride_h - 2 * options.pad_h +
                 options.dilation_h * (w[2] - 1) + 1 + output_pad_h % options.stride_h;
  const auto width = (padded.shape()[3] - 1) * options.stride_w - 2 * options.pad_w +
                     options.dilation_w * (w[3] - 1) + 1 + output_pad_w % options.stride_w;
  if (h < 1 || width < 1) {
    fail(fmt::format("the result would be of {}x{}", h, width), "use less padding");
  }
  return apply(ConvOp(ConvKind::input_gradient, options, h, width), {padded, weight});
}

}  // namespace descent
