#include "descent/kernels/eltwise.h"

#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <string>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::Guarded;

using Real = long double;
using Reference = std::function<Real(Real, Real, Real)>;

Real mask(bool b) { return b ? 1 : 0; }
Real largest(Real a, Real b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }
Real smallest(Real a, Real b) { return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b); }

Real density(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<Real>); }
Real normal(Real x) { return std::erfc(-x / std::sqrt(2.0L)) / 2; }
// Phi(x) + x Phi'(x). Near its root the terms cancel: there the integral of (2 - t^2) Phi'(t) from
// the root, by Gauss's rule of five points, which 0.01 is too short for to err in 64 bits.
Real gelu_slope(Real x) {
  constexpr Real root = -0.75179152469356445745790494677952397L;
  if (std::fabs(x) > 1e3L) return mask(x > 0);
  if (!(std::fabs(x - root) < 0.01L)) return normal(x) + x * density(x);
  const Real half = (x - root) / 2;
  const auto f = [&](Real s) {
    const Real t = root + half * (1 + s);
    return (2 - t * t) * density(t);
  };
  const Real b = 2 * std::sqrt(10 / 7.0L), inner = std::sqrt(5 - b) / 3,
             outer = std::sqrt(5 + b) / 3, w = 13 * std::sqrt(70.0L);
  return half * (128 / 225.0L * f(0) + (322 + w) / 900 * (f(inner) + f(-inner)) +
                 (322 - w) / 900 * (f(outer) + f(-outer)));
}

struct Row {
  Reference f;
  // Largest error allowed, in units in the last place: 0.5 where IEEE 754 rounds correctly (and a
  // little for the reference), 4 for functions.
  double ulps = 4;
  // Functions built on exp give 0 somewhat above the smallest normal number.
  bool flushes = false;
};

// Every row of the table must be here: a missing one fails.
const std::map<std::string, Row>& rows() {
  static const std::map<std::string, Row> all = {
      {"neg", {[](Real x, Real, Real) { return -x; }, 0}},
      {"abs", {[](Real x, Real, Real) { return std::fabs(x); }, 0}},
      {"sign",
       {[](Real x, Real, Real) { return std::isnan(x) ? x : mask(x > 0) - mask(x < 0); }, 0}},
      {"square", {[](Real x, Real, Real) { return x * x; }, 0.501}},
      {"reciprocal", {[](Real x, Real, Real) { return 1 / x; }, 0.501}},
      {"sqrt", {[](Real x, Real, Real) { return std::sqrt(x); }, 0.501}},
      {"rsqrt", {[](Real x, Real, Real) { return 1 / std::sqrt(x); }, 1.5}},
      {"exp", {[](Real x, Real, Real) { return std::exp(x); }, 4, true}},
      {"expm1", {[](Real x, Real, Real) { return std::expm1(x); }}},
      {"log", {[](Real x, Real, Real) { return std::log(x); }}},
      {"log1p", {[](Real x, Real, Real) { return std::log1p(x); }}},
      {"sin", {[](Real x, Real, Real) { return std::sin(x); }}},
      {"cos", {[](Real x, Real, Real) { return std::cos(x); }}},
      {"tanh", {[](Real x, Real, Real) { return std::tanh(x); }}},
      {"sinh", {[](Real x, Real, Real) { return std::sinh(x); }}},
      {"cosh", {[](Real x, Real, Real) { return std::cosh(x); }}},
      {"atan", {[](Real x, Real, Real) { return std::atan(x); }}},
      {"asin", {[](Real x, Real, Real) { return std::asin(x); }}},
      {"acos", {[](Real x, Real, Real) { return std::acos(x); }}},
      {"sigmoid", {[](Real x, Real, Real) { return 1 / (1 + std::exp(-x)); }, 4, true}},
      {"softplus",
       {[](Real x, Real, Real) {
          return std::isnan(x) ? x : std::max(x, 0.0L) + std::log1p(std::exp(-std::fabs(x)));
        },
        4, true}},
      {"erf", {[](Real x, Real, Real) { return std::erf(x); }}},
      // A quotient of polynomials, one exp and some products: each is right to about 2 units.
      // Without fused multiply-add each step of the polynomials rounds twice (float64's
      // slope: 8.1).
      {"gelu_exact", {[](Real x, Real, Real) { return x < -1e3L ? 0 : x * normal(x); }, 8, true}},
      {"gelu_slope", {[](Real x, Real, Real) { return gelu_slope(x); }, 10, true}},
      {"floor", {[](Real x, Real, Real) { return std::floor(x); }, 0}},
      {"ceil", {[](Real x, Real, Real) { return std::ceil(x); }, 0}},
      {"round", {[](Real x, Real, Real) { return std::nearbyint(x); }, 0}},
      {"is_finite", {[](Real x, Real, Real) { return mask(std::isfinite(x)); }, 0}},
      {"relu", {[](Real x, Real, Real) { return std::isnan(x) || x > 0 ? x : 0; }, 0}},
      {"step", {[](Real x, Real, Real) { return mask(x > 0); }, 0}},
      {"add", {[](Real a, Real b, Real) { return a + b; }, 0.501}},
      {"sub", {[](Real a, Real b, Real) { return a - b; }, 0.501}},
      {"mul", {[](Real a, Real b, Real) { return a * b; }, 0.501}},
      {"div", {[](Real a, Real b, Real) { return a / b; }, 0.501}},
      {"pow", {[](Real a, Real b, Real) { return std::pow(a, b); }}},
      {"atan2", {[](Real a, Real b, Real) { return std::atan2(a, b); }}},
      {"maximum", {[](Real a, Real b, Real) { return largest(a, b); }, 0}},
      {"minimum", {[](Real a, Real b, Real) { return smallest(a, b); }, 0}},
      {"less_mask", {[](Real a, Real b, Real) { return mask(a < b); }, 0}},
      {"less_equal_mask", {[](Real a, Real b, Real) { return mask(a <= b); }, 0}},
      {"greater_mask", {[](Real a, Real b, Real) { return mask(a > b); }, 0}},
      {"greater_equal_mask", {[](Real a, Real b, Real) { return mask(a >= b); }, 0}},
      {"equal_mask", {[](Real a, Real b, Real) { return mask(a == b); }, 0}},
      {"not_equal_mask", {[](Real a, Real b, Real) { return mask(a != b); }, 0}},
      {"select", {[](Real m, Real a, Real b) { return m != 0 ? a : b; }, 0}},
  };
  return all;
}

template <class T>
std::vector<T> special_values() {
  using L = std::numeric_limits<T>;
  std::vector<T> all = {0,
                        1,
                        2,
                        3,
                        T(0.5),
                        T(1.5),
                        T(2.5),
                        T(1e-3),
                        T(1e-8),
                        T(10),
                        T(20),
                        T(40),
                        T(88.5),
                        T(88.8),
                        T(89.2),
                        T(100),
                        T(104),
                        T(709.5),
                        T(711),
                        T(746),
                        T(1e4),
                        T(3e4),
                        T(1e6),
                        T(1e15),
                        T(1e30),
                        L::min(),
                        L::min() * 4,
                        L::max(),
                        L::max() / 4,
                        L::infinity(),
                        L::quiet_NaN(),
                        1 - L::epsilon(),
                        1 + L::epsilon(),
                        T(0.99),
                        T(1.01),
                        T(5.9),
                        T(3.9),
                        T(8388609),
                        T(16777217)};
  const std::size_t n = all.size();
  for (std::size_t i = 0; i < n; ++i) all.push_back(-all[i]);
  return all;
}

// Dense values of every size, and the neighbourhoods where functions change their ways.
template <class T>
std::vector<T> dense_values() {
  std::vector<T> x = special_values<T>();
  RandomStream random(7);
  for (int i = 0; i < 20000; ++i) {
    const double u = 2 * random.uniform() - 1;
    x.push_back(T(u));
    x.push_back(T(8 * u));
    x.push_back(T(100 * u));
    x.push_back(T(std::copysign(std::exp2(60 * random.uniform() - 40), u)));
    x.push_back(T(1 + u * 1e-3));
    x.push_back(T(-1 + u * 1e-3));
    x.push_back(T(u * 720));
  }
  return x;
}

template <class T>
class EltwiseFloat : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(EltwiseFloat, Floats);

template <class T>
double worst_error(Eltwise code, const std::vector<T>& a, const std::vector<T>& b,
                   const std::vector<T>& c, T& at_a, T& at_b) {
  std::vector<T> out(a.size());
  eltwise_kernel(code, dtype_of<T>)(a.data(), b.data(), c.data(), out.data(),
                                    static_cast<std::int64_t>(a.size()));
  const auto& row = rows().at(std::string(info(code).name));
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Real want = row.f(a[i], b[i], c[i]);
    if (row.flushes && out[i] == 0 && std::fabs(want) < 2 * std::numeric_limits<T>::min()) continue;
    const double error = testing::ulps(out[i], want);
    if (error > worst) worst = error, at_a = a[i], at_b = b[i];
  }
  return worst;
}

TYPED_TEST(EltwiseFloat, AccuracyAndSpecialValues) {
  using T = TypeParam;
  const auto x = dense_values<T>();
  const auto special = special_values<T>();
  for (int k = 0; k < static_cast<int>(Eltwise::count); ++k) {
    const auto code = static_cast<Eltwise>(k);
    const std::string name(info(code).name);
    ASSERT_TRUE(rows().contains(name)) << "add a reference for " << name << " to this test";
    std::vector<T> a = x, b = x, c = x;
    std::rotate(b.begin(), b.begin() + 3, b.end());
    std::rotate(c.begin(), c.begin() + 7, c.end());
    if (info(code).arity > 1) {  // every pair of special values
      for (const T p : special) {
        for (const T q : special) a.push_back(p), b.push_back(q), c.push_back(q);
      }
    }
    T at_a = 0, at_b = 0;
    const double worst = worst_error(code, a, b, c, at_a, at_b);
    EXPECT_LE(worst, rows().at(name).ulps) << name << "(" << at_a << ", " << at_b << ")";
    this->RecordProperty(name, std::to_string(worst));  // shown by --gtest_output
  }
}

TYPED_TEST(EltwiseFloat, KeepsTheSignOfZero) {
  using T = TypeParam;
  for (const auto code :
       {Eltwise::expm1, Eltwise::log1p, Eltwise::tanh, Eltwise::sinh, Eltwise::sin, Eltwise::atan,
        Eltwise::asin, Eltwise::erf, Eltwise::sqrt}) {
    const T in[2] = {T(-0.0), T(0.0)};
    T out[2];
    eltwise_kernel(code, dtype_of<T>)(in, nullptr, nullptr, out, 2);
    EXPECT_TRUE(std::signbit(out[0])) << info(code).name;
    EXPECT_FALSE(std::signbit(out[1])) << info(code).name;
  }
}

// x, x Phi(x), Phi(x) + x Phi'(x), computed in 60 digits by mpmath.
TYPED_TEST(EltwiseFloat, GeluKeepsItsDigitsInTheTail) {
  using T = TypeParam;
  struct Known {
    double x, gelu, slope;
  };
  const Known known[] = {{-37.25, -1.9734635705229076e-302, -7.3511441913164053e-301},
                         {-30, -1.4720141781444561e-196, -4.4160316907084944e-195},
                         {-20.5, -2.2067580180521469e-92, -4.5238033061728781e-91},
                         {-13, -7.9523137194148436e-38, -1.0337304440113356e-36},
                         {-12.75, -1.987376018323529e-36, -2.533718298439833e-35},
                         {-10, -7.6198530241605261e-23, -7.6184000964648141e-22},
                         {-8.5, -8.0576045988728206e-17, -6.8465049386970843e-16},
                         {-6, -5.9195258702261888e-9, -3.5468709453902015e-8},
                         {-5.5, -1.0444259356238246e-7, -5.7334723987399248e-7},
                         {-4, -0.00012668496733247969, -0.00050364966122642149},
                         {-2.25, -0.027505063473850582, -0.059189743975206982},
                         {-0.75, -0.16997051428265115, 0.00077427826076489563},
                         {-0.0078125, -0.0038819007432746673, 0.49376665368732153},
                         {0.5, 0.34573123063700655, 0.86749512465616284},
                         {3, 2.9959503059051097, 1.0119456472041839},
                         {6, 5.9999999940804741, 1.0000000354687095}};
  for (const auto& k : known) {
    if (std::abs(k.gelu) < static_cast<double>(std::numeric_limits<T>::min())) continue;
    const T x = static_cast<T>(k.x);
    T gelu, slope;
    eltwise_kernel(Eltwise::gelu_exact, dtype_of<T>)(&x, nullptr, nullptr, &gelu, 1);
    eltwise_kernel(Eltwise::gelu_slope, dtype_of<T>)(&x, nullptr, nullptr, &slope, 1);
    EXPECT_LE(testing::ulps(gelu, static_cast<Real>(k.gelu)), 8) << x;
    EXPECT_LE(testing::ulps(slope, static_cast<Real>(k.slope)), 8) << x;
  }
}

// An element's bits do not depend on its place, nothing is touched outside, and outputs may be
// inputs.
template <class T>
void check_tails(Eltwise code) {
  const auto kernel = eltwise_kernel(code, dtype_of<T>);
  ASSERT_NE(kernel, nullptr);
  for (std::int64_t n = 0; n <= 70; ++n) {
    Guarded<T> a(n, n % 3), b(n, n % 5), c(n, 1), out(n, n % 7);
    std::vector<T> alone(static_cast<std::size_t>(n));
    RandomStream random(static_cast<std::uint64_t>(n) + 1);
    for (std::int64_t i = 0; i < n; ++i) {
      const double scale = std::is_integral_v<T> ? 1000 : (i % 9 == 0 ? 200000 : 3);
      a[i] = static_cast<T>((random.uniform() - 0.5) * scale);
      b[i] = static_cast<T>((random.uniform() - 0.5) * 6);
      c[i] = static_cast<T>((random.uniform() - 0.5) * 1e3);
      if (i % 11 == 3) c[i] = a[i] = b[i];
      kernel(&a[i], &b[i], &c[i], &alone[static_cast<std::size_t>(i)], 1);
    }
    kernel(a.data(), b.data(), c.data(), out.data(), n);
    EXPECT_TRUE(testing::same_bits(out.data(), alone.data(), n)) << info(code).name << " n = " << n;
    EXPECT_TRUE(a.intact() && b.intact() && c.intact() && out.intact()) << info(code).name;
    Guarded<T>* operands[] = {&a, &b, &c};
    const int in_place = static_cast<int>(n % info(code).arity);
    kernel(a.data(), b.data(), c.data(), operands[in_place]->data(), n);
    EXPECT_TRUE(testing::same_bits(operands[in_place]->data(), alone.data(), n))
        << info(code).name << " in place of operand " << in_place << ", n = " << n;
  }
}
TYPED_TEST(EltwiseFloat, TailsAndInPlace) {
  for (int k = 0; k < static_cast<int>(Eltwise::count); ++k)
    check_tails<TypeParam>(static_cast<Eltwise>(k));
}

TEST(EltwiseInteger, NumericRowsMatchTheReference) {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    const std::vector<T> values = {0, 1, -1, 2, -7, 1000, std::numeric_limits<T>::max() / 4};
    for (int k = 0; k < static_cast<int>(Eltwise::count); ++k) {
      const auto code = static_cast<Eltwise>(k);
      const auto kernel = eltwise_kernel(code, dtype_of<T>);
      EXPECT_EQ(kernel != nullptr, info(code).integers) << info(code).name;
      if (kernel == nullptr) continue;
      check_tails<T>(code);
      for (const T a : values) {
        for (const T b : values) {
          if (code == Eltwise::square && std::abs(a) > 1000) continue;
          if (code == Eltwise::mul && std::abs(a) > 1000 && std::abs(b) > 2) continue;
          if (code == Eltwise::mul && std::abs(b) > 1000 && std::abs(a) > 2) continue;
          T out = 99;
          kernel(&a, &b, &a, &out, 1);
          const Real want = rows().at(std::string(info(code).name)).f(a, b, a);
          EXPECT_EQ(static_cast<Real>(out), want) << info(code).name << " " << a << " " << b;
        }
      }
    }
  };
  check(std::int32_t{});
  check(std::int64_t{});
}

TEST(EltwiseInteger, ArithmeticWrapsAround) {
  const std::int32_t big = std::numeric_limits<std::int32_t>::max(), one = 1;
  std::int32_t out = 0;
  eltwise_kernel(Eltwise::add, DType::int32)(&big, &one, nullptr, &out, 1);
  EXPECT_EQ(out, std::numeric_limits<std::int32_t>::min());
  eltwise_kernel(Eltwise::abs, DType::int32)(&out, nullptr, nullptr, &out, 1);
  EXPECT_EQ(out, std::numeric_limits<std::int32_t>::min());
}

TEST(Eltwise, InfoAndMissingKernels) {
  EXPECT_EQ(info(Eltwise::neg).name, "neg");
  EXPECT_EQ(info(Eltwise::select).arity, 3);
  EXPECT_EQ(info(Eltwise::div).arity, 2);
  EXPECT_FALSE(info(Eltwise::div).integers);
  EXPECT_TRUE(info(Eltwise::add).integers);
  for (const auto t : {DType::bfloat16, DType::boolean, DType::uint8}) {
    EXPECT_EQ(eltwise_kernel(Eltwise::add, t), nullptr);
  }
  EXPECT_EQ(eltwise_kernel(Eltwise::exp, DType::int64), nullptr);
  EXPECT_FALSE(simd_target().empty());
  EXPECT_NE(simd_target(), "Unknown");
}

TEST(Eltwise, SelectKeepsOutTheOtherSidesNaN) {
  const float m[2] = {1, 0}, a[2] = {3, NAN}, b[2] = {NAN, 4};
  float out[2];
  eltwise_kernel(Eltwise::select, DType::float32)(m, a, b, out, 2);
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(out[1], 4);
}

}  // namespace
}  // namespace descent::kernels
