// The functions of eltwise_table.h that Highway lacks or that lose NaN, infinity or digits there.
// Each result depends on its own lane only: an element keeps its bits wherever in an array it is.
// Coefficients: fit_polynomials.py. Included once per target (foreach_target.h).
#include <cmath>
#include <cstdint>
#include <limits>

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

// The coefficients for the vector's type, lowest power first.
template <class T>
struct Coefficients;
template <>
struct Coefficients<float> {
  static constexpr double exp[] = {0.499999982870901854, 0.166665436166574277,
                                   0.0416671634626142094, 0.00836653680417269405,
                                   0.00138848105130974761};
  static constexpr double log[] = {0.666666656424617945, 0.400003361588475, 0.285372309294754424,
                                   0.235838913978394575};
  static constexpr double erf_near[] = {0.12837916590245788,    -0.376126271067679592,
                                        0.112836000415945305,   -0.0268544419606355185,
                                        0.00518953234192049086, -0.000802082079967387081,
                                        0.000078890590181446806};
  static constexpr double erf_far[] = {1.12860140704992971,       0.635401839540490948,
                                       0.105684856825165348,      -0.0231080249358902172,
                                       0.00319198271840993798,    -0.000142304001574844027,
                                       -0.0000277478540243767476, 3.50137976703603571e-6};
  static constexpr double tail_above[] = {0.500000003016748996, 0.438189933486807912,
                                          0.18315857840525043, 0.0406077850356320195,
                                          0.00411263761476523387};
  static constexpr double tail_below[] = {1.0,
                                          1.67426484845667558,
                                          1.20218244644281695,
                                          0.469268840955309728,
                                          0.101795109778092698,
                                          0.0103087329865099527};
  static constexpr double slope_above[] = {0.665077989923662006, 0.752744619030512381,
                                           0.377097115019714351, 0.0953175348084722161,
                                           0.0103799075729145092};
  static constexpr double slope_below[] = {1.0, 1.39742669998170273, 0.791483276044888593,
                                           0.219372640814918138, 0.0260184131118653368};
  // root = slope_root + slope_root_low. gauss_end: where 2^gauss_scale e^(-a^2 / 2) is 0.
  static constexpr double slope_root = 0.7517915368080139,
                          slope_root_low = -1.2114449458557720053e-8;
  static constexpr int gauss_scale = 24;
  static constexpr double gauss_end = 14.44;
  static constexpr std::uint32_t half_of_digits = 0xfffff000u;
  static constexpr double ln2_hi = 0.693145751953125, ln2_lo = 1.42860682030941723212e-6;
  static constexpr double magic = 0x1.8p23;  // adding it rounds to an integer, in the low bits
  // exp_low rounds to n = 1 - bias, exp_high to n = bias + 1 where 2^n (1 + p) is infinite.
  static constexpr double exp_low = -87.5, exp_high = 89, half_exp_high = 89.7, expm1_low = -18,
                          tanh_one = 10;
  static constexpr double erf_one = 3.95;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr std::uint32_t sqrt_half = 0x3f3504f3u, one = 0x3f800000u;
  static constexpr double tiny = 0x1p-126, grow = 0x1p25, grow_log2 = 25;
  static constexpr double trigonometric = 30000;  // beyond it range reduction loses digits
};
template <>
struct Coefficients<double> {
  static constexpr double exp[] = {0.500000000000000531,     0.166666666666665872,
                                   0.0416666666665754438,    0.00833333333338972791,
                                   0.00138888889319528128,   0.000198412697198967414,
                                   0.0000248015048284798995, 2.7557405919761028e-6,
                                   2.7626211150521265e-7,    2.50545168677975448e-8};
  static constexpr double log[] = {0.666666666666673589, 0.399999999994038372, 0.285714287448915362,
                                   0.222221983094557387, 0.181835783950142956, 0.153136804834759045,
                                   0.147997602411682123};
  static constexpr double erf_near[] = {
      0.128379167095512574,    -0.376126389031837482,     0.112837916709548843,
      -0.0268661706450778636,  0.00522397762482834802,    -0.00085483269814213557,
      0.000120553311328181607, -0.0000149255957691929941, 1.64610084344528094e-6,
      -1.63503958066322623e-7, 1.4660326184335523e-8,     -1.13749468319623764e-9,
      5.96067166070411938e-11};
  static constexpr double erf_far[] = {
      1.12837921816344048,       0.636619190601030362,      0.102775729169475018,
      -0.0191389827571048702,    -0.000184206563895047687,  0.00165187463231214043,
      -0.000529102169828242422,  -0.0000407904911659201116, 0.000123062211629816461,
      -0.0000712937661498972944, 0.0000271136382869488499,  -7.78417058711202055e-6,
      1.75534576162927056e-6,    -3.13521747416377444e-7,   4.40034889184065769e-8,
      -4.75160440900609517e-9,   3.80381635191198113e-10,   -2.1194336389106512e-11,
      7.30187385992227924e-13,   -1.1632102897926472e-14};
  static constexpr double tail_above[] = {0.499999999999999975,     0.774705945397534002,
                                          0.593803490710692531,     0.289159622339205024,
                                          0.0976218766186668752,    0.0235988138181914222,
                                          0.00408431170110667817,   0.000489696147783455522,
                                          0.0000371888791477585131, 1.3828071122475578e-6};
  static constexpr double tail_below[] = {1.0,
                                          2.34729645159792334,
                                          2.5604785797790388,
                                          1.71359886621521869,
                                          0.781549074922192856,
                                          0.254753158107909793,
                                          0.0603740082388107467,
                                          0.0103310698770044688,
                                          0.00123095239362098471,
                                          0.0000932186959714224691,
                                          3.46618340593116455e-6};
  static constexpr double slope_above[] = {
      0.665077995131434281,    1.25310491436166371,   1.1303865784124282,    0.631613192784525271,
      0.239610820295128403,    0.0639332094791124141, 0.0120200686679790871, 0.00154220931285014096,
      0.000123422774580359503, 4.74959014916320464e-6};
  static constexpr double slope_below[] = {1.0,
                                           2.14976043968077616,
                                           2.12394159832424702,
                                           1.26931145274484859,
                                           0.507359159836174044,
                                           0.141238589550306015,
                                           0.027524033890081206,
                                           0.00364506541080201236,
                                           0.00030042459485343897,
                                           0.0000119054569608135387};
  static constexpr double slope_root = 0.7517915246935645,
                          slope_root_low = -1.4956759177009883273e-17;
  static constexpr int gauss_scale = 53;
  static constexpr double gauss_end = 38.61;
  static constexpr std::uint64_t half_of_digits = 0xfffffffff8000000u;
  static constexpr double ln2_hi = 6.93147180369123816490e-01, ln2_lo = 1.90821492927058770002e-10;
  static constexpr double magic = 0x1.8p52;
  static constexpr double exp_low = -708.5, exp_high = 710, half_exp_high = 711, expm1_low = -38,
                          tanh_one = 20;
  static constexpr double erf_one = 5.95;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcdu, one = 0x3ff0000000000000u;
  static constexpr double tiny = 0x1p-1022, grow = 0x1p54, grow_log2 = 54;
  static constexpr double trigonometric = 1e5;
};

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

template <class D, class V>
HWY_INLINE V TanhOf(D d, V x) {
  using C = Coefficients<hn::TFromD<D>>;
  const V t = Expm1Narrow(d, AtMost(d, hn::Mul(hn::Abs(x), Const(d, 2)), 2 * C::tanh_one));
  return hn::CopySign(hn::Div(t, hn::Add(t, Const(d, 2))), x);
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
