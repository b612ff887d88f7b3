// What the functions of eltwise_math-inl.h are computed with. The polynomials come from
// fit_polynomials.py.
#pragma once
#include <cstdint>

namespace descent::kernels {

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

}  // namespace descent::kernels
