// Layer normalisation and RMS normalisation over the last axes, with their gradient, each one
// kernel (kernels/layer_norm.h). Derivatives of the gradient, and forward mode, are compositions.
// They rest on one linear map, self-adjoint in h: with xh the normalised x and m the mean over the
// axes,
//
//   L h = rstd (h - m(h) - xh m(h xh))        (RMS normalisation: without m(h))
//
// is the derivative of xh and its own transpose. drstd = -rstd^2 m(xh dx).
#include "descent/kernels/layer_norm.h"

#include <fmt/format.h>

#include "descent/ir/op.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

struct Norm {
  int axes;  // how many of the last
  double eps;
  bool rms;
  bool weighted, biased;
  bool operator==(const Norm&) const = default;
  std::string attributes() const {
    return fmt::format("{} axes, eps {}{}{}", axes, eps, weighted ? ", weight" : "",
                       biased ? ", bias" : "");
  }
};

kernels::LayerNormShape shape_of(const Norm& norm, const Type& x) {
  kernels::LayerNormShape s{.eps = norm.eps, .rms = norm.rms, .dtype = x.dtype};
  for (int i = 0; i < x.shape.rank(); ++i) {
    (i < x.shape.rank() - norm.axes ? s.rows : s.n) *= x.shape[i];
  }
  return s;
}

Shape unit_of(const Norm& norm, const Shape& x) {
  Shape unit;
  for (int i = x.rank() - norm.axes; i < x.rank(); ++i) unit.push_back(x[i]);
  return unit;
}

// The normalised x as a composition.
class Composed {
 public:
  Composed(const Norm& norm, const Value& x) : rms_(norm.rms) {
    for (int axis = -norm.axes; axis < 0; ++axis) axes_.push_back(axis);
    const Value centred = rms_ ? x : x - m(x);
    rstd = rsqrt(m(square(centred)) + norm.eps);
    xh = centred * rstd;
  }
  Value m(const Value& v) const { return mean(v, axes_, true); }
  Value linear(const Value& h) const {
    const Value rest = h - xh * m(h * xh);
    return rstd * (rms_ ? rest : rest - m(h));
  }
  Value covariance(const Value& a, const Value& h) const {
    const Value both = m(a * h) - m(a * xh) * m(h * xh);
    return rms_ ? both : both - m(a) * m(h);
  }
  Value xh, rstd;

 private:
  bool rms_;
  std::vector<int> axes_;
};

Value plus(const Value& a, const Value& b) { return !a ? b : !b ? a : a + b; }

// x, [weight], [bias] -> y, rstd, [mean]. The statistics serve the gradient alone.
struct LayerNormOp final : OpBase<LayerNormOp> {
  explicit LayerNormOp(Norm n) : norm(n) {}
  Norm norm;
  bool operator==(const LayerNormOp&) const = default;
  std::string_view name() const override { return norm.rms ? "rms_norm" : "layer_norm"; }
  std::string attributes() const override { return norm.attributes(); }

  std::vector<Type> infer(std::span<const Type> in) const override {
    const auto& x = in[0];
    if (x.dtype != DType::float32 && x.dtype != DType::float64) {
      fail(fmt::format("not defined for {}", name_of(x.dtype)), in, "cast() to float32 first");
    }
    if (norm.axes < 1 || norm.axes > x.shape.rank()) fail("there are not so many axes", in);
    const auto unit = unit_of(norm, x.shape);
    for (std::size_t i = 1; i < in.size(); ++i) {
      if (in[i].shape != unit || in[i].dtype != x.dtype) {
        fail(fmt::format("weight and bias must be {}", to_string(Type{x.dtype, unit})), in);
      }
    }
    const Type statistics{x.dtype, {shape_of(norm, x).rows}, any_per_shard(in)};
    std::vector<Type> out{{x.dtype, x.shape, any_per_shard(in)}, statistics};
    if (!norm.rms) out.push_back(statistics);
    return out;
  }

  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override;

  // dy = (L dx) weight + xh dweight + dbias.
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override {
    Values all(out.size());
    const Composed c(norm, in[0]);
    if (tangent[0]) {
      const Value moved = c.linear(tangent[0]);
      all[0] = norm.weighted ? moved * in[1] : moved;
    }
    if (norm.weighted && tangent[1]) all[0] = plus(all[0], c.xh * tangent[1]);
    if (norm.biased && tangent.back()) {
      all[0] = plus(all[0], broadcast_to(tangent.back(), in[0].shape()));
    }
    return all;
  }

  Kernel bind(const Binding& b) const override {
    kernels::LayerNormForward call{.shape = shape_of(norm, b.in_types[0]), .x = b.in[0]};
    if (norm.weighted) call.weight = b.in[1];
    if (norm.biased) call.bias = b.in.back();
    call.y = b.out[0];
    call.rstd = b.out[1];
    if (!norm.rms) call.mean = b.out[2];
    return whole([call] { kernels::layer_norm(call); });
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return 8.0 * static_cast<double>(in[0].shape.size());
  }
};

// x, g, rstd, [mean], [weight] -> dx, [dweight], [dbias]. A function of x, g and weight: where it
// is differentiated, the statistics are those of x.
struct LayerNormGradientOp final : OpBase<LayerNormGradientOp> {
  explicit LayerNormGradientOp(Norm n) : norm(n) {}
  Norm norm;
  bool operator==(const LayerNormGradientOp&) const = default;
  std::string_view name() const override {
    return norm.rms ? "rms_norm_gradient" : "layer_norm_gradient";
  }
  std::string attributes() const override { return norm.attributes(); }

  std::vector<Type> infer(std::span<const Type> in) const override {
    const bool per_shard = any_per_shard(in);
    std::vector<Type> out{{in[0].dtype, in[0].shape, per_shard}};
    const Type unit{in[0].dtype, unit_of(norm, in[0].shape), per_shard};
    if (norm.weighted) out.push_back(unit);
    if (norm.biased) out.push_back(unit);
    return out;
  }

  Value weighted(const Value& v, ValueSpan in) const { return norm.weighted ? v * in.back() : v; }
  Value total(const Value& v) const { return sum_to(v, unit_of(norm, v.shape())); }

  // Of <a, dx> + <c, dweight> + <d, dbias> with respect to x, g and weight.
  Values vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const override {
    const Value &g = in[1], &a = cotangent[0];
    const Value c = norm.weighted ? cotangent[1] : Value(),
                d = norm.biased ? cotangent.back() : Value();
    const Composed n(norm, in[0]);
    Values result(in.size());
    Value to_xh, by_rstd;
    if (a) {
      const Value h = weighted(g, in), u = n.linear(a);
      to_xh = -(n.rstd * (a * n.m(h * n.xh) + h * n.m(a * n.xh)));
      by_rstd = square(n.rstd) * n.xh * n.covariance(a, h);
      result[1] = weighted(u, in);
      if (norm.weighted) result.back() = total(u * g);
    }
    if (c) {
      to_xh = plus(to_xh, g * c);
      result[1] = plus(result[1], n.xh * c);
    }
    if (d) result[1] = plus(result[1], broadcast_to(d, g.shape()));
    if (to_xh) result[0] = n.linear(to_xh);
    if (by_rstd) result[0] = result[0] - by_rstd;
    return result;
  }

  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override {
    const Value &g = in[1], &tx = tangent[0], &tg = tangent[1];
    const Value tw = norm.weighted ? tangent.back() : Value();
    const Composed n(norm, in[0]);
    const Value h = weighted(g, in);
    Value th = tg ? weighted(tg, in) : Value();
    if (tw) th = plus(th, g * tw);
    Values result(out.size());
    Value dweight = tg ? tg * n.xh : Value();
    if (th) result[0] = n.linear(th);
    if (tx) {
      const Value txh = n.linear(tx);
      const Value by_xh = n.rstd * (txh * n.m(h * n.xh) + n.xh * n.m(h * txh));
      result[0] = plus(result[0], -(by_xh + n.rstd * n.m(n.xh * tx) * n.linear(h)));
      dweight = plus(dweight, g * txh);
    }
    if (norm.weighted && dweight) result[1] = total(dweight);
    if (norm.biased && tg) result.back() = total(tg);
    return result;
  }

  Kernel bind(const Binding& b) const override {
    kernels::LayerNormBackward call{
        .shape = shape_of(norm, b.in_types[0]), .x = b.in[0], .g = b.in[1], .rstd = b.in[2]};
    if (!norm.rms) call.mean = b.in[3];
    if (norm.weighted) call.weight = b.in.back();
    call.dx = b.out[0];
    if (norm.weighted) call.dweight = b.out[1];
    if (norm.biased) call.dbias = b.out.back();
    return whole([call, scratch = b.scratch] { kernels::layer_norm_gradient(call, scratch); });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return kernels::layer_norm_gradient_scratch_bytes(shape_of(norm, in[0]));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return 16.0 * static_cast<double>(in[0].shape.size());
  }
};

Values LayerNormOp::vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const {
  Values result(in.size());
  if (!cotangent[0]) return result;
  Values inputs{in[0], cotangent[0], out[1]};
  if (!norm.rms) inputs.push_back(out[2]);
  if (norm.weighted) inputs.push_back(in[1]);
  const auto g = apply_all(std::make_shared<const LayerNormGradientOp>(norm), inputs);
  std::copy(g.begin(), g.end(), result.begin());
  return result;
}

Value normalized(const Value& x, const Value& weight, const Value& bias, Norm norm) {
  norm.weighted = static_cast<bool>(weight);
  norm.biased = static_cast<bool>(bias);
  Values in{x};
  if (weight) in.push_back(weight);
  if (bias) in.push_back(bias);
  return apply_all(std::make_shared<const LayerNormOp>(norm), in)[0];
}

}  // namespace

Value layer_norm(const Value& x, const Value& weight, const Value& bias,
                 const NormOptions& options) {
  return normalized(x, weight, bias, {options.axes, options.eps, false, false, false});
}
Value rms_norm(const Value& x, const Value& weight, const NormOptions& options) {
  return normalized(x, weight, {}, {options.axes, options.eps, true, false, false});
}

}  // namespace descent
