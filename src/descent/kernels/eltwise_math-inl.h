// The functions of eltwise_table.h that Highway lacks or that lose NaN, infinity or digits there.
// Each result depends on its own lane only: an element keeps its bits wherever in an array it is.
// Included once per target (foreach_target.h).
#include <cmath>
#include <cstdint>
#include <limits>

#include "descent/kernels/eltwise_coefficients.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

#if defined(DESCENT_ELTWISE_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_ELTWISE_MATH_INL_H
#undef DESCENT_ELTWISE_MATH_INL_H
#else
#define DESCENT_ELTWISE_MATH_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> Const(D d, double c) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(c));
}

// c[0] + x (c[1] + x (c[2] + ...)).
template <class D, class V, int N>
HWY_INLINE V Polynomial(D d, V x, const double (&c)[N]) {
  V p = Const(d, c[N - 1]);
#pragma GCC unroll 32
  for (int i = N - 2; i >= 0; --i) p = hn::MulAdd(p, x, Const(d, c[i]));
  return p;
}

// x, but no more (no less) than the limit; NaN stays.
template <class D, class V>
HWY_INLINE V AtMost(D d, V x, double limit) {
  return MinOrSecond(Const(d, limit), x);
}
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, double limit) {
  return MaxOrSecond(Const(d, limit), x);
}

// 2^(n - Less) for an integer n given as n + magic.
template <int Less, class D, class V>
HWY_INLINE V PowerOfTwo(D d, V shifted) {
  using C = Coefficients<hn::TFromD<D>>;
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  const auto exponent = hn::ShiftLeft<C::mantissa>(hn::BitCast(du, shifted));
  return hn::BitCast(d, hn::Add(exponent, hn::Set(du, U{C::bias - Less} << C::mantissa)));
}

// e^x = 2^n (1 + p) with |p| < 0.42; `shifted` is n + magic.
template <class V>
struct ExpParts {
  V n, shifted, p;
};
template <class D, class V>
HWY_INLINE ExpParts<V> SplitExp(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V magic = Const(d, C::magic);
  const V shifted = hn::MulAdd(x, Const(d, 1.4426950408889634074), magic);
  const V n = hn::Sub(shifted, magic);
  const V r = hn::NegMulAdd(n, Const(d, C::ln2_lo), hn::NegMulAdd(n, Const(d, C::ln2_hi), x));
  return {n, shifted, hn::MulAdd(hn::Mul(r, r), Polynomial(d, r, C::exp), r)};
}

// e^x as (2 e^r) 2^(n - 1), since 2^n alone overflows before e^x does. Below exp_low the factor is
// no normal number: 0, as threads that flush subnormal numbers would have it.
template <class D, class V>
HWY_INLINE V ExpOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const auto e = SplitExp(d, AtMost(d, AtLeast(d, x, C::exp_low), C::exp_high));
  const V two = Const(d, 2);
  return hn::Mul(hn::MulAdd(e.p, two, two), PowerOfTwo<1>(d, e.shifted));
}
// e^x / 2 for x >= 0: infinite only where cosh is.
template <class D, class V>
HWY_INLINE V HalfExp(D d, V x) {
  const auto e = SplitExp(d, AtMost(d, x, Coefficients<hn::TFromD<D>>::half_exp_high));
  const V two = Const(d, 2);
  return hn::Mul(hn::MulAdd(e.p, two, two), PowerOfTwo<2>(d, e.shifted));
}

// e^x - 1 for x where 2^n neither overflows nor underflows: 2^n (p + (1 - 2^-n)).
template <class D, class V>
HWY_INLINE V Expm1Narrow(D d, V x) {
  const auto e = SplitExp(d, x);
  const V one = Const(d, 1), magic = Const(d, Coefficients<hn::TFromD<D>>::magic);
  const V inverse = PowerOfTwo<0>(d, hn::Sub(magic, e.n));
  return hn::Mul(hn::Add(e.p, hn::Sub(one, inverse)), PowerOfTwo<0>(d, e.shifted));
}
template <class D, class V>
HWY_INLINE V Expm1Of(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V narrow = Expm1Narrow(d, AtMost(d, AtLeast(d, x, C::expm1_low), 40.0));
  // Beyond 40 the -1 is below half a unit in the last place.
  const V y = hn::IfThenElse(hn::Gt(x, Const(d, 40.0)), ExpOf(d, x), narrow);
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y);  // keeps -0
}

// log of u in [2^-126, inf) plus a small c: u = 2^k (1 + f), 1 + f in [sqrt 1/2, sqrt 2).
// With `offset` k gets that much less (u was scaled up).
template <class D, class V>
HWY_INLINE V LogReduced(D d, V f, V k, V c) {
  using C = Coefficients<hn::TFromD<D>>;
  const V s = hn::Div(f, hn::Add(f, Const(d, 2)));
  const V z = hn::Mul(s, s);
  const V half_square = hn::Mul(hn::Mul(f, f), Const(d, 0.5));
  const V tail = hn::Mul(s, hn::MulAdd(z, Polynomial(d, z, C::log), half_square));
  const V low = hn::MulAdd(k, Const(d, C::ln2_lo), c);
  return hn::MulAdd(k, Const(d, C::ln2_hi), hn::Sub(f, hn::Sub(half_square, hn::Add(tail, low))));
}
template <class V>
struct LogParts {
  V k, f;
};
template <class D, class V>
HWY_INLINE LogParts<V> SplitLog(D d, V u) {
  using C = Coefficients<hn::TFromD<D>>;
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  const auto bits = hn::Add(hn::BitCast(du, u), hn::Set(du, C::one - C::sqrt_half));
  // The biased exponent as a number: or-ed into the low bits of 2^mantissa.
  const double base = static_cast<double>(U{1} << C::mantissa);
  const auto biased = hn::Or(hn::ShiftRight<C::mantissa>(bits), hn::BitCast(du, Const(d, base)));
  const V k = hn::Sub(hn::BitCast(d, biased), Const(d, base + C::bias));
  const auto fraction = hn::And(bits, hn::Set(du, (U{1} << C::mantissa) - 1));
  const V m = hn::BitCast(d, hn::Add(fraction, hn::Set(du, C::sqrt_half)));
  return {k, hn::Sub(m, Const(d, 1))};
}
// What log gives at 0, below it, at infinity and at NaN; y elsewhere. at_zero: whether x is the
// pole.
template <class D, class V, class M>
HWY_INLINE V LogEdges(D d, V x, V y, M at_pole, M below) {
  const V inf = Const(d, std::numeric_limits<double>::infinity());
  y = hn::IfThenElse(hn::Lt(x, inf), y, x);  // inf, NaN
  y = hn::IfThenElse(at_pole, hn::Neg(inf), y);
  return hn::IfThenElse(below, Const(d, std::numeric_limits<double>::quiet_NaN()), y);
}
template <class D, class V>
HWY_INLINE V LogOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const auto subnormal = hn::Lt(x, Const(d, C::tiny));
  const V u = hn::IfThenElse(subnormal, hn::Mul(x, Const(d, C::grow)), x);
  const auto parts = SplitLog(d, u);
  const V k = hn::Sub(parts.k, hn::IfThenElseZero(subnormal, Const(d, C::grow_log2)));
  const V y = LogReduced(d, parts.f, k, hn::Zero(d));
  return LogEdges(d, x, y, hn::Eq(x, hn::Zero(d)), hn::Lt(x, hn::Zero(d)));
}
// log(1 + x) for x > -1: c / u makes up for the rounding of u = 1 + x.
template <class D, class V>
HWY_INLINE V Log1pInside(D d, V x) {
  const V one = Const(d, 1);
  const V u = hn::Add(one, x);
  const auto parts = SplitLog(d, u);
  const auto small = hn::Eq(parts.k, hn::Zero(d));
  const V lost =
      hn::IfThenElse(hn::Gt(x, one), hn::Sub(one, hn::Sub(u, x)), hn::Sub(x, hn::Sub(u, one)));
  // Where k = 0, f = x exactly needs no correction.
  const V c = hn::IfThenZeroElse(small, hn::Div(lost, u));
  return LogReduced(d, hn::IfThenElse(small, x, parts.f), parts.k, c);
}
template <class D, class V>
HWY_INLINE V Log1pOf(D d, V x) {
  const V minus_one = Const(d, -1);
  const V y = LogEdges(d, x, Log1pInside(d, x), hn::Eq(x, minus_one), hn::Lt(x, minus_one));
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, y);  // keeps -0
}

// x / y for y in 1/4 .. 4 to a unit in the last place. The division of 16 float32 takes as long as
// 32 of their multiplications: one step of Newton's from 14 digits takes four.
template <class D, class V>
HWY_INLINE V Quotient([[maybe_unused]] D d, V x, V y) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    const V inverse = hn::ApproximateReciprocal(y);
    const V near = hn::Mul(x, inverse);
    return hn::MulAdd(hn::NegMulAdd(near, y, x), inverse, near);
  }
#endif
  return hn::Div(x, y);
}
// c[k] 2^(k + 1): the polynomial of e^r - 1 - r for half of it as a function of r / 2.
template <int N>
struct OfHalf {
  double c[N];
  constexpr explicit OfHalf(const double (&whole)[N]) : c() {
    double scale = 2;
    for (int k = 0; k < N; ++k, scale *= 2) c[k] = whole[k] * scale;
  }
};
// With e^2|x| = 2^n e^2h and p = (e^2h - 1) / 2:
// tanh |x| = (p + (1 - 2^-n) / 2) / (p + (1 + 2^-n) / 2).
template <class D, class V>
HWY_INLINE V TanhOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  constexpr OfHalf half_exp(C::exp);
  const V a = AtMost(d, hn::Abs(x), C::tanh_one);
  // Rounds to -n, and holds the exponent of 2^(-n - 1) in its low bits.
  const V magic = Const(d, C::magic + C::bias - 1);
  const V shifted = hn::MulAdd(a, Const(d, -2 * 1.4426950408889634074), magic);
  const V n = hn::Sub(shifted, magic);
#if HWY_NATIVE_FMA
  // n ln 2 is not rounded, and an error of ln 2 in its last place is one of tanh in its last place.
  const V h = hn::MulAdd(n, Const(d, 0.69314718055994530942 / 2), a);
#else
  const V h = hn::MulAdd(n, Const(d, C::ln2_lo / 2), hn::MulAdd(n, Const(d, C::ln2_hi / 2), a));
#endif
  const V p = hn::MulAdd(hn::Mul(h, h), Polynomial(d, h, half_exp.c), h);
  const hn::RebindToUnsigned<D> du;
  const V half_inverse = hn::BitCast(d, hn::ShiftLeft<C::mantissa>(hn::BitCast(du, shifted)));
  const V above = hn::Add(p, hn::Sub(Const(d, 0.5), half_inverse));
  const V below = hn::MulAdd(half_inverse, Const(d, 2), above);
  return hn::CopySign(Quotient(d, above, below), x);
}
template <class D, class V>
HWY_INLINE V SigmoidOf(D d, V x) {
  const V one = Const(d, 1);
  const V e = ExpOf(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}
template <class D, class V>
HWY_INLINE V SoftplusOf(D d, V x) {
  const V tail = Log1pInside(d, ExpOf(d, hn::Neg(hn::Abs(x))));
  return hn::Add(hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x), tail);
}
template <class D, class V>
HWY_INLINE V CoshOf(D d, V x) {
  const V half = HalfExp(d, hn::Abs(x));
  return hn::Add(half, hn::Div(Const(d, 0.25), half));
}
template <class D, class V>
HWY_INLINE V SinhOf(D d, V x) {
  const V t = hn::Abs(x), one = Const(d, 1);
  const V half = HalfExp(d, t);
  const V far = hn::Sub(half, hn::Div(Const(d, 0.25), half));
  const V m = Expm1Narrow(d, AtMost(d, t, 1.0));
  const V near = hn::Mul(Const(d, 0.5), hn::Add(m, hn::Div(m, hn::Add(m, one))));
  return hn::CopySign(hn::IfThenElse(hn::Lt(t, one), near, far), x);
}
template <class D, class V>
HWY_INLINE V ErfOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V one = Const(d, 1);
  const V t = AtMost(d, hn::Abs(x), C::erf_one);
  const V near = hn::MulAdd(x, Polynomial(d, hn::Mul(t, t), C::erf_near), x);
  const V e = ExpOf(d, hn::Neg(hn::Mul(t, Polynomial(d, t, C::erf_far))));
  return hn::IfThenElse(hn::Lt(t, one), near, hn::CopySign(hn::Sub(one, e), x));
}

// Lanes where `special` holds are computed one by one with f.
template <class D, class V, class M, class F>
HWY_INLINE V PatchLanes(D d, V x, V y, M special, F f) {
  if (HWY_LIKELY(hn::AllFalse(d, special))) return y;
  using T = hn::TFromD<D>;
  HWY_ALIGN T in[hn::MaxLanes(d)], out[hn::MaxLanes(d)], flag[hn::MaxLanes(d)];
  hn::Store(x, d, in);
  hn::Store(y, d, out);
  hn::Store(hn::IfThenElseZero(special, Const(d, 1)), d, flag);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    if (flag[i] != 0) out[i] = f(in[i]);
  }
  return hn::Load(d, out);
}
template <class D, class V>
HWY_INLINE V SinOf(D d, V x) {
  using T = hn::TFromD<D>;
  const auto far = hn::Not(hn::Le(hn::Abs(x), Const(d, Coefficients<T>::trigonometric)));
  const V y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, hn::Sin(d, x));  // keeps -0
  return PatchLanes(d, x, y, far, [](T v) { return std::sin(v); });
}
template <class D, class V>
HWY_INLINE V CosOf(D d, V x) {
  using T = hn::TFromD<D>;
  const auto far = hn::Not(hn::Le(hn::Abs(x), Const(d, Coefficients<T>::trigonometric)));
  return PatchLanes(d, x, hn::Cos(d, x), far, [](T v) { return std::cos(v); });
}
template <class D, class V>
HWY_INLINE V AtanOf(D d, V x) {
  return hn::Atan(d, x);
}
template <class D, class V>
HWY_INLINE V AsinOf(D d, V x) {
  return hn::Asin(d, x);
}
template <class D, class V>
HWY_INLINE V AcosOf(D d, V x) {
  return hn::Acos(d, x);
}

// Lane by lane, for what has no vector form here.
template <class D, class V, class F>
HWY_INLINE V EachLane(D d, V a, V b, F f) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T x[hn::MaxLanes(d)], y[hn::MaxLanes(d)];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) x[i] = f(x[i], y[i]);
  return hn::Load(d, x);
}
#if HWY_TARGET != HWY_SCALAR  // which has no half vectors
// |a|^b of half a vector, in float64: its 29 spare bits pay for b log a.
template <class D, class V>
HWY_INLINE auto HalfPower(D dh, V a, V b) {
  const hn::Rebind<double, D> dd;
  const auto y = hn::Mul(hn::PromoteTo(dd, b), LogOf(dd, hn::PromoteTo(dd, hn::Abs(a))));
  return hn::DemoteTo(dh, ExpOf(dd, y));
}
// The edges are those of C99 F.9.4.4: signs, roots of negative numbers, what is 1 come what may.
template <class D, class V>
HWY_INLINE V PowFloat32(D d, V a, V b) {
  const hn::Half<D> dh;
  const V y = hn::Combine(d, HalfPower(dh, hn::UpperHalf(dh, a), hn::UpperHalf(dh, b)),
                          HalfPower(dh, hn::LowerHalf(dh, a), hn::LowerHalf(dh, b)));
  const V one = Const(d, 1), zero = hn::Zero(d);
  const V inf = Const(d, std::numeric_limits<double>::infinity());
  const V half_b = hn::Mul(b, Const(d, 0.5));
  const auto integer = hn::Eq(hn::Floor(b), b);
  const auto odd = hn::And(integer, hn::Not(hn::Eq(hn::Floor(half_b), half_b)));
  V r = hn::IfThenElse(odd, hn::CopySign(y, a), y);
  const auto root = hn::And(hn::And(hn::Lt(a, zero), hn::Gt(a, hn::Neg(inf))), hn::Not(integer));
  r = hn::IfThenElse(root, Const(d, std::numeric_limits<double>::quiet_NaN()), r);
  const auto unit = hn::And(hn::Eq(a, hn::Neg(one)), hn::Eq(hn::Abs(b), inf));
  return hn::IfThenElse(hn::Or(hn::Or(hn::Eq(b, zero), hn::Eq(a, one)), unit), one, r);
}
#endif
template <class D, class V>
HWY_INLINE V PowOf(D d, V a, V b) {
  using T = hn::TFromD<D>;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(T) == 4) return PowFloat32(d, a, b);
#endif
  return EachLane(d, a, b, [](T x, T y) { return std::pow(x, y); });
}
template <class D, class V>
HWY_INLINE V Atan2Of(D d, V a, V b) {
  using T = hn::TFromD<D>;
  return EachLane(d, a, b, [](T x, T y) { return std::atan2(x, y); });
}

// 2^gauss_scale e^(-a^2 / 2) for a in [0, gauss_end]: scaled, so that products with it come down to
// the smallest numbers. a^2 = high^2 + low without rounding of high^2, since an error of the
// exponent by a unit in its last place would be one of 2^n units here.
template <class D, class V>
HWY_INLINE V ScaledGauss(D d, V a) {
  using C = Coefficients<hn::TFromD<D>>;
  const hn::RebindToUnsigned<D> du;
  const V high = hn::BitCast(d, hn::And(hn::BitCast(du, a), hn::Set(du, C::half_of_digits)));
  const V low = hn::Mul(hn::Sub(a, high), hn::Add(a, high));
  const V minus_half = Const(d, -0.5), magic = Const(d, C::magic), two = Const(d, 2);
  const V x = hn::Mul(minus_half, hn::Mul(high, high));
  const V shifted =
      hn::MulAdd(hn::MulAdd(minus_half, low, x), Const(d, 1.4426950408889634074), magic);
  const V n = hn::Sub(shifted, magic);
  const V rest = hn::NegMulAdd(n, Const(d, C::ln2_lo), hn::NegMulAdd(n, Const(d, C::ln2_hi), x));
  const V r = hn::MulAdd(minus_half, low, rest);
  const V p = hn::MulAdd(hn::Mul(r, r), Polynomial(d, r, C::exp), r);
  return hn::Mul(hn::MulAdd(p, two, two), PowerOfTwo<1 - C::gauss_scale>(d, shifted));
}
// |x|, at most where everything below is 0.
template <class D, class V>
HWY_INLINE V GaussArgument(D d, V x) {
  return AtMost(d, hn::Abs(x), Coefficients<hn::TFromD<D>>::gauss_end);
}
// x Phi(x) = max(x, 0) - a (1 - Phi(a)) with a = |x|: no digits are lost on either side.
template <class D, class V>
HWY_INLINE V GeluOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V a = GaussArgument(d, x);
  const V tail =
      hn::Div(hn::Mul(a, Polynomial(d, a, C::tail_above)), Polynomial(d, a, C::tail_below));
  const V scaled = hn::Mul(tail, ScaledGauss(d, a));
  return hn::NegMulAdd(scaled,
                       Const(d, 1 / static_cast<double>(std::uint64_t{1} << C::gauss_scale)),
                       hn::IfThenZeroElse(hn::Le(x, hn::Zero(d)), x));
}
// Phi(x) + x Phi'(x): t = Phi(-a) - a Phi'(a) below 0, and 1 - t above.
template <class D, class V>
HWY_INLINE V GeluSlopeOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V a = GaussArgument(d, x);
  const V distance = hn::Add(hn::Sub(Const(d, C::slope_root), a), Const(d, C::slope_root_low));
  const V factor = hn::Div(hn::Mul(distance, Polynomial(d, a, C::slope_above)),
                           Polynomial(d, a, C::slope_below));
  const V t = hn::Mul(hn::Mul(factor, ScaledGauss(d, a)),
                      Const(d, 1 / static_cast<double>(std::uint64_t{1} << C::gauss_scale)));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), t, hn::Sub(Const(d, 1), t));
}

template <class D, class V>
HWY_INLINE V SignOf(D d, V x) {
  const V one = Const(d, 1), zero = hn::Zero(d);
  return hn::IfThenElse(hn::Gt(x, zero), one, hn::IfThenElse(hn::Lt(x, zero), hn::Neg(one), x));
}
template <class D, class V>
HWY_INLINE V ReluOf(D d, V x) {
  return hn::IfThenZeroElse(hn::Le(x, hn::Zero(d)), x);
}
template <class D, class V>
HWY_INLINE V MaxOf(D, V a, V b) {
  return hn::IfThenElse(hn::IsNaN(a), a, MaxOrSecond(a, b));
}
template <class D, class V>
HWY_INLINE V MinOf(D, V a, V b) {
  return hn::IfThenElse(hn::IsNaN(a), a, MinOrSecond(a, b));
}
template <class D, class V>
HWY_INLINE V IsFiniteOf(D d, V x) {
  const V limit = Const(d, std::numeric_limits<double>::infinity());
  return hn::IfThenElseZero(hn::Lt(hn::Abs(x), limit), Const(d, 1));
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
