// Pooling. The maximum's derivative gathers (forward mode) or scatters (reverse mode) at the
// positions it was taken from; both are linear and each other's transpose.
#include <fmt/format.h>

#include <algorithm>

#include "descent/ir/op.h"
#include "descent/kernels/convolution.h"
#include "descent/ops/layout.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

using kernels::PoolShape;

PoolShape pool_shape(const Shape& image, const Pool2dOptions& o, bool last) {
  const int c = last ? 3 : 1, h = last ? 1 : 2, w = last ? 2 : 3;
  return {image[0],   image[c],   image[h], image[w], o.kernel_h, o.kernel_w,
          o.stride_h, o.stride_w, o.pad_h,  o.pad_w,  last};
}

std::string describe(const Pool2dOptions& o) {
  return fmt::format("kernel {}x{}, stride {}x{}, padding {}x{}", o.kernel_h, o.kernel_w,
                     o.stride_h, o.stride_w, o.pad_h, o.pad_w);
}

template <class F>
void floating(DType t, F&& f) {
  if (t == DType::float64)
    f(double{});
  else
    f(float{});
}

// What the four operations share; `image` is the extent of the pooled image [n, c, h, w].
template <class Derived>
struct PoolOp : OpBase<Derived> {
  explicit PoolOp(Pool2dOptions o) : options(o) {}
  Pool2dOptions options;
  bool last = false;  // images are [n, h, w, c]
  std::string attributes() const override {
    return describe(options) + (last ? ", channels last" : "");
  }
  // The operation on images that lie as this one's do.
  template <class O>
  O alike(O op) const {
    op.last = last;
    return op;
  }
  // The operation itself channels last, on operands all turned.
  Values turned(Derived op, ValueSpan in) const {
    Values operands;
    for (const auto& v : in) operands.push_back(to_last(v));
    op.last = true;
    Values out = apply_all(std::make_shared<const Derived>(std::move(op)), std::move(operands));
    for (auto& v : out) v = to_first(v);
    return out;
  }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (last || std::none_of(in.begin(), in.end(), is_last)) return std::nullopt;
    return turned(static_cast<const Derived&>(*this), in);
  }
  Shape pooled(std::span<const Type> in) const {
    const auto& x = in[0];
    if (x.shape.rank() != 4)
      this->fail("wants [rows, channels, height, width]", in, "reshape flat rows to images first");
    if (x.dtype != DType::float32 && x.dtype != DType::float64)
      this->fail("wants float32 or float64", in, "cast() it");
    const auto p = pool_shape(x.shape, options, last);
    if (p.r < 1 || p.s < 1 || p.stride_h < 1 || p.stride_w < 1 || 2 * p.pad_h > p.r ||
        2 * p.pad_w > p.s) {
      this->fail("kernel and stride are at least 1, padding at most half the kernel", in);
    }
    if (p.h + 2 * p.pad_h < p.r || p.w + 2 * p.pad_w < p.s)
      this->fail("the kernel is larger than the image", in, "use a smaller kernel");
    return last ? Shape{p.n, p.out_h(), p.out_w(), p.c} : Shape{p.n, p.c, p.out_h(), p.out_w()};
  }
};

struct PoolGatherOp final : PoolOp<PoolGatherOp> {  // x, index -> [n, c, oh, ow]
  using PoolOp::PoolOp;
  bool operator==(const PoolGatherOp& o) const { return options == o.options && last == o.last; }
  std::string_view name() const override { return "pool_gather"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, pooled(in), any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override;
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return {t[0] ? apply(*this, {t[0], in[1]}) : Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole([p = pool_shape(b.in_types[0].shape, options, last), x = b.in[0], index = b.in[1],
                  o = b.out[0], t = b.in_types[0].dtype] {
      floating(t, [&](auto zero) {
        using T = decltype(zero);
        kernels::pool_gather(p, reinterpret_cast<const T*>(x),
                             reinterpret_cast<const std::int32_t*>(index), reinterpret_cast<T*>(o));
      });
    });
  }
};

struct PoolScatterOp final : PoolOp<PoolScatterOp> {  // g, index -> [n, c, h, w]
  PoolScatterOp(Pool2dOptions o, Shape i) : PoolOp(o), image(std::move(i)) {}
  Shape image;
  bool operator==(const PoolScatterOp& o) const {
    return options == o.options && image == o.image && last == o.last;
  }
  std::string_view name() const override { return "pool_scatter"; }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (last || std::none_of(in.begin(), in.end(), is_last)) return std::nullopt;
    return turned({options, {image[0], image[2], image[3], image[1]}}, in);
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, image, any_per_shard(in)}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override {
    return {apply(alike(PoolGatherOp(options)), {g[0], in[1]}), Value()};
  }
  Values jvp(ValueSpan in, ValueSpan, ValueSpan t) const override {
    return {t[0] ? apply(*this, {t[0], in[1]}) : Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole([p = pool_shape(image, options, last), g = b.in[0], index = b.in[1], o = b.out[0],
                  t = b.in_types[0].dtype] {
      floating(t, [&](auto zero) {
        using T = decltype(zero);
        kernels::pool_scatter(p, reinterpret_cast<const T*>(g),
                              reinterpret_cast<const std::int32_t*>(index),
                              reinterpret_cast<T*>(o));
      });
    });
  }
};

Values PoolGatherOp::vjp(ValueSpan in, ValueSpan, ValueSpan g) const {
  return {apply(alike(PoolScatterOp(options, in[0].shape())), {g[0], in[1]}), Value()};
}

struct MaxPoolOp final : PoolOp<MaxPoolOp> {  // x -> maximum, position
  using PoolOp::PoolOp;
  bool operator==(const MaxPoolOp& o) const { return options == o.options && last == o.last; }
  std::string_view name() const override { return "max_pool2d"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    const Shape s = pooled(in);
    return {{in[0].dtype, s, in[0].per_shard}, {DType::int32, s, in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan g) const override {
    return {g[0] ? apply(alike(PoolScatterOp(options, in[0].shape())), {g[0], out[1]}) : Value()};
  }
  Values jvp(ValueSpan, ValueSpan out, ValueSpan t) const override {
    return {apply(alike(PoolGatherOp(options)), {t[0], out[1]}), Value()};
  }
  Kernel bind(const Binding& b) const override {
    return whole([p = pool_shape(b.in_types[0].shape, options, last), x = b.in[0], o = b.out[0],
                  index = b.out[1], t = b.in_types[0].dtype] {
      floating(t, [&](auto zero) {
        using T = decltype(zero);
        kernels::max_pool(p, reinterpret_cast<const T*>(x), reinterpret_cast<T*>(o),
                          reinterpret_cast<std::int32_t*>(index));
      });
    });
  }
};

struct AvgPoolGradientOp;
struct AvgPoolOp final : PoolOp<AvgPoolOp> {
  using PoolOp::PoolOp;
  bool operator==(const AvgPoolOp& o) const { return options == o.options && last == o.last; }
  std::string_view name() const override { return "avg_pool2d"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, pooled(in), in[0].per_shard}};
  }
  Values vjp(ValueSpan in, ValueSpan, ValueSpan g) const override;
  Values jvp(ValueSpan, ValueSpan, ValueSpan t) const override { return {apply(*this, {t[0]})}; }
  Kernel bind(const Binding& b) const override {
    return whole([p = pool_shape(b.in_types[0].shape, options, last), x = b.in[0], o = b.out[0],
                  t = b.in_types[0].dtype] {
      floating(t, [&](auto zero) {
        using T = decltype(zero);
        kernels::average_pool(p, reinterpret_cast<const T*>(x), reinterpret_cast<T*>(o));
      });
    });
  }
};

struct AvgPoolGradientOp final : PoolOp<AvgPoolGradientOp> {
  AvgPoolGradientOp(Pool2dOptions o, Shape i) : PoolOp(o), image(std::move(i)) {}
  Shape image;
  bool operator==(const AvgPoolGradientOp& o) const {
    return options == o.options && image == o.image && last == o.last;
  }
  std::string_view name() const override { return "avg_pool2d_gradient"; }
  std::optional<Values> channels_last(ValueSpan in) const override {
    if (last || std::none_of(in.begin(), in.end(), is_last)) return std::nullopt;
    return turned({options, {image[0], image[2], image[3], image[1]}}, in);
  }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, image, in[0].per_shard}};
  }
  Values vjp(ValueSpan, ValueSpan, ValueSpan g) const override {
    return {apply(alike(AvgPoolOp(options)), {g[0]})};
  }
  Values jvp(ValueSpan, ValueSpan, ValueSpan t) const override { return {apply(*this, {t[0]})}; }
  Kernel bind(const Binding& b) const override {
    return whole([p = pool_shape(image, options, last), g = b.in[0], o = b.out[0],
                  t = b.in_types[0].dtype] {
      floating(t, [&](auto zero) {
        using T = decltype(zero);
        kernels::average_pool_gradient(p, reinterpret_cast<const T*>(g), reinterpret_cast<T*>(o));
      });
    });
  }
};

Values AvgPoolOp::vjp(ValueSpan in, ValueSpan, ValueSpan g) const {
  return {apply(alike(AvgPoolGradientOp(options, in[0].shape())), {g[0]})};
}

}  // namespace

Value max_pool2d(const Value& x, const Pool2dOptions& options) {
  return apply(MaxPoolOp(options), {x});
}
Value avg_pool2d(const Value& x, const Pool2dOptions& options) {
  return apply(AvgPoolOp(options), {x});
}

}  // namespace descent
