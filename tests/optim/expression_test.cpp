// Formulas against the same functions written in C++: values, precedence, gradients, errors.
#include "descent/optim/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "descent/base/error.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "tests/support/gradients.h"

namespace descent::optim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kPi = std::numbers::pi;

Array scalar_array(double x) { return Array::scalar(x); }
Array vector_array(const std::vector<double>& x) {
  return Array::from(x, Shape({static_cast<std::int64_t>(x.size())}));
}

Array value_of(const std::string& text, const std::map<std::string, Array>& at = {}) {
  const auto formula = Expression::parse(text);
  std::vector<Array> arrays;
  for (const auto& [name, array] : at) arrays.push_back(array);
  return evaluate(
      [&](ValueSpan in) {
        std::map<std::string, Value> bound;
        std::size_t k = 0;
        for (const auto& [name, array] : at) bound[name] = in[k++];
        return Values{formula.build(bound)};
      },
      arrays)[0];
}
double number(const std::string& text, const std::map<std::string, Array>& at = {}) {
  return value_of(text, at).item();
}

struct Case {
  std::string text;
  double (*expected)(double x, double y);
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.text; }

class Formula : public ::testing::TestWithParam<Case> {};

// At a point where every function is defined and smooth.
constexpr double kX = 0.37, kY = 1.62;

TEST_P(Formula, HasTheValueOfTheFunction) {
  const double expected = GetParam().expected(kX, kY);
  const double got = number(GetParam().text, {{"x", scalar_array(kX)}, {"y", scalar_array(kY)}});
  // The vector functions are within a few units in the last place of the C library's.
  EXPECT_NEAR(got, expected, 1e-14 * (1 + std::abs(expected)));
}

TEST_P(Formula, HasItsDerivatives) {
  const auto formula = Expression::parse(GetParam().text);
  test::expect_gradients(
      [&](ValueSpan in) {
        return Values{formula.build({{"x", in[0]}, {"y", in[1]}})};
      },
      {scalar_array(kX), scalar_array(kY)}, 2,
      1e-6);  // atanh and log have larger third derivatives
  // And the first derivative against that of the C++ function.
  const auto gradient = evaluate(grad([&](ValueSpan in) {
                                   return formula.build({{"x", in[0]}, {"y", in[1]}});
                                 }),
                                 {scalar_array(kX), scalar_array(kY)});
  constexpr double h = 1e-6;  // central differences: an error of h^2 and of eps / h = 2e-10
  double (*const f)(double, double) = GetParam().expected;
  const double dx = (f(kX + h, kY) - f(kX - h, kY)) / (2 * h);
  const double dy = (f(kX, kY + h) - f(kX, kY - h)) / (2 * h);
  EXPECT_NEAR(gradient[0].item(), dx, 1e-7 * (1 + std::abs(dx)));
  EXPECT_NEAR(gradient[1].item(), dy, 1e-7 * (1 + std::abs(dy)));
}

using std::pow;
INSTANTIATE_TEST_SUITE_P(
    All, Formula,
    ::testing::Values(
        Case{"100*(y-x^2)^2 + (1-x)^2",
             [](double x, double y) { return 100 * pow(y - x * x, 2) + pow(1 - x, 2); }},
        Case{"-x^2 + y", [](double x, double y) { return -(x * x) + y; }},
        Case{"2^x^2 * y", [](double x, double y) { return pow(2, pow(x, 2)) * y; }},
        Case{"x ** -y", [](double x, double y) { return pow(x, -y); }},
        Case{"x^3 - y^-2 + x^0.5 + y^-.5 + x^2.5",
             [](double x, double y) {
               return pow(x, 3) - pow(y, -2) + std::sqrt(x) + 1 / std::sqrt(y) + pow(x, 2.5);
             }},
        Case{"x/y/2 - x - y", [](double x, double y) { return x / y / 2 - x - y; }},
        Case{"x - -y * -+2", [](double x, double y) { return x - y * 2; }},
        Case{"sin(x)*cos(y) + tan(x)",
             [](double x, double y) { return std::sin(x) * std::cos(y) + std::tan(x); }},
        Case{"asin(x) + acos(x/2) + atan(y) + atan2(x, y)",
             [](double x, double y) {
               return std::asin(x) + std::acos(x / 2) + std::atan(y) + std::atan2(x, y);
             }},
        Case{"sinh(x) + cosh(y) + tanh(x*y)",
             [](double x, double y) { return std::sinh(x) + std::cosh(y) + std::tanh(x * y); }},
        Case{"asinh(-x) + asinh(y) + acosh(y) + atanh(x)",
             [](double x, double y) {
               return std::asinh(-x) + std::asinh(y) + std::acosh(y) + std::atanh(x);
             }},
        Case{"exp(x) + e^y + log(x) + ln(y) + log10(x) + log2(y) + log1p(x) + expm1(y)",
             [](double x, double y) {
               return std::exp(x) + std::exp(y) + std::log(x) + std::log(y) + std::log10(x) +
                      std::log2(y) + std::log1p(x) + std::expm1(y);
             }},
        Case{"sqrt(x) + cbrt(y) + cbrt(-x) + abs(-x) + square(y)",
             [](double x, double y) {
               return std::sqrt(x) + std::cbrt(y) - std::cbrt(x) + x + y * y;
             }},
        Case{"max(x, y, 1) + min(x, y) + clamp(y, 0, 1) + pow(x, y)",
             [](double x, double y) { return y + x + 1 + pow(x, y); }},
        Case{"sigmoid(x) + relu(-y) + relu(x) + softplus(y) + erf(x)",
             [](double x, double y) {
               return 1 / (1 + std::exp(-x)) + x + std::log1p(std::exp(y)) + std::erf(x);
             }},
        Case{"where(x < y, x^2, y) + (x > y)*x + (y >= x)*y + (x == x) + (x != x) + (x <= y)",
             [](double x, double y) { return x * x + y + 2; }},
        Case{"sum([x, y, x*y]) + mean([x, y]) + norm([x, y]) + dot([x, y], [1, 2])",
             [](double x, double y) {
               return x + y + x * y + (x + y) / 2 + std::hypot(x, y) + x + 2 * y;
             }},
        Case{"x * pi + \u03c0 * e - y",
             [](double x, double y) { return x * kPi + kPi * std::numbers::e - y; }}));

TEST(ExpressionTest, ConstantsFoldAndPrecedenceIsThatOfMathematics) {
  EXPECT_EQ(number("2^3^2"), 512);
  EXPECT_EQ(number("-2^2"), -4);
  EXPECT_EQ(number("(-2)^2"), 4);
  EXPECT_EQ(number("2**-1"), 0.5);
  EXPECT_EQ(number("1 - 2 - 3"), -4);
  EXPECT_EQ(number("8/4/2"), 1);
  EXPECT_EQ(number("1 + 2*3 < 7.5"), 1);
  EXPECT_EQ(number(".5e1 + 1.e-1"), 5.1);
  EXPECT_EQ(number("7"), 7);
}

TEST(ExpressionTest, NamesInOrderOfAppearance) {
  const auto f = Expression::parse("b*sin(a) + pi*b + e + x_1 + \u03b8");
  EXPECT_THAT(f.names(), ElementsAre("b", "a", "x_1", "\u03b8"));
  EXPECT_TRUE(f.uses("e"));
  EXPECT_FALSE(f.uses("sin"));
  EXPECT_THAT(Expression::parse("1 + pi").names(), IsEmpty());
  EXPECT_EQ(f.text(), "b*sin(a) + pi*b + e + x_1 + \u03b8");
}

TEST(ExpressionTest, ABoundNameComesBeforeTheConstant) {
  EXPECT_EQ(number("e + 1", {{"e", scalar_array(5)}}), 6);
  EXPECT_EQ(number("max - min", {{"max", scalar_array(5)}, {"min", scalar_array(2)}}), 3);
}

TEST(ExpressionTest, VectorsAndMatrices) {
  const Array a = Array::from(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Array x = vector_array({1, -1, 2});
  const Array b = vector_array({1, 2});
  const std::map<std::string, Array> all = {{"A", a}, {"b", b}, {"x", x}};
  // A x = (5, 11)
  EXPECT_EQ(value_of("A*x", all).to_vector(), (std::vector<double>{5, 11}));
  EXPECT_EQ(value_of("A@x", all).to_vector(), (std::vector<double>{5, 11}));
  EXPECT_EQ(number("sum((A*x-b)^2)", all), 16 + 81);
  EXPECT_EQ(value_of("b*A", all).to_vector(), (std::vector<double>{9, 12, 15}));
  EXPECT_EQ(value_of("A'*b", all).to_vector(), (std::vector<double>{9, 12, 15}));
  EXPECT_EQ(number("x'*(A'*A)*x", all), 25 + 121);
  EXPECT_EQ(value_of("x'*(A'*A)*x", all).shape(), Shape());
  EXPECT_EQ(value_of("A.*x", all).to_vector(), (std::vector<double>{1, -2, 6, 4, -5, 12}));
  EXPECT_EQ(value_of("A + x", all).to_vector(), (std::vector<double>{2, 1, 5, 5, 4, 8}));
  EXPECT_EQ(number("x@x", all), 6);
  EXPECT_EQ(number("x'*x", all), 6);
  EXPECT_EQ(value_of("outer(b, b)", all).to_vector(), (std::vector<double>{1, 2, 2, 4}));
  EXPECT_EQ(value_of("[[1, 2], b]*b", all).to_vector(), (std::vector<double>{5, 5}));
  EXPECT_EQ(number("max(x) + min(x) - mean(x)*3 + var(b)", all), 2 - 1 - 2 + 0.25);
  EXPECT_EQ(value_of("linspace(0, 1, 3)").to_vector(), (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(value_of("zeros(2) + ones(2)*3 + range(2)").to_vector(), (std::vector<double>{3, 4}));
}

TEST(ExpressionTest, Indices) {
  const std::map<std::string, Array> all = {
      {"A", Array::from(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3})},
      {"x", vector_array({1, 2, 4, 8})}};
  EXPECT_EQ(number("x[0] + 10*x[-1] + 100*x[1+1]", all), 481);
  EXPECT_EQ(value_of("x[1:] - x[:-1]", all).to_vector(), (std::vector<double>{1, 2, 4}));
  EXPECT_EQ(value_of("x[1:3]", all).to_vector(), (std::vector<double>{2, 4}));
  EXPECT_EQ(value_of("x[0::2]", all).to_vector(), (std::vector<double>{1, 4}));
  EXPECT_EQ(value_of("x[1:4:2]", all).to_vector(), (std::vector<double>{2, 8}));
  EXPECT_EQ(value_of("concat(0, x[:-1], [5])", all).to_vector(),
            (std::vector<double>{0, 1, 2, 4, 5}));
  EXPECT_EQ(number("prod(x) + prod(x[1:])", all), 128);
  EXPECT_EQ(value_of("A[1]", all).to_vector(), (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(value_of("A[:, 1]", all).to_vector(), (std::vector<double>{2, 5}));
  EXPECT_EQ(number("A[0, 2] + A'[2, 0]", all), 6);
  const auto rosenbrock = "sum(100*(x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)";
  EXPECT_EQ(number(rosenbrock, all), 100 * (1 + 0 + 64) + 0 + 1 + 9);
}

TEST(ExpressionTest, WholePowersOfNegativeNumbersAndOfZeroHaveDerivatives) {
  const auto f = Expression::parse("x^4 + x^3 + x^2");
  const auto slope = evaluate(grad([&](ValueSpan in) {
                                return f.build({{"x", in[0]}});
                              }),
                              {scalar_array(-2)});
  EXPECT_EQ(slope[0].item(), -32 + 12 - 4);
  const auto flat = evaluate(grad([&](ValueSpan in) {
                               return f.build({{"x", in[0]}});
                             }),
                             {scalar_array(0)});
  EXPECT_EQ(flat[0].item(), 0);
}

TEST(ExpressionTest, ALongFormulaNeedsNoDeepStack) {
  std::string text = "x";
  for (int i = 0; i < 2000; ++i) text += " + 1";
  EXPECT_EQ(number(text, {{"x", scalar_array(1)}}), 2001);
}

struct Mistake {
  std::string text;
  std::string where, message, remedy;
};
void PrintTo(const Mistake& m, std::ostream* out) { *out << m.text; }

class FormulaMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(FormulaMistake, IsToldWithItsPlace) {
  const auto& mistake = GetParam();
  try {
    const auto f = Expression::parse(mistake.text);
    const GraphScope scope;
    f.build({{"x", input({DType::float64, {}})},
             {"v", input({DType::float64, {3}})},
             {"A", input({DType::float64, {2, 3}})}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.where(), "formula, column " + mistake.where);
    EXPECT_THAT(error.message(), HasSubstr(mistake.message));
    EXPECT_THAT(error.remedy(), HasSubstr(mistake.remedy));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FormulaMistake,
    ::testing::Values(
        Mistake{"", "1", "empty", ""}, Mistake{"  ", "1", "empty", ""},
        Mistake{"1 + sine(x)", "5", "\"sine\"", "1 + sine(x)\n    ^\ndid you mean \"sin\"?"},
        Mistake{"x(1 - x)", "1", "\"x\"", "to multiply, write x*(...)"},
        Mistake{"2x", "2", "operator is missing", "2x\n ^\nto multiply"},
        Mistake{"sin x", "5", "operator is missing", "write sin(...)"},
        Mistake{"x + ", "5", "ends where an operand is needed", ""},
        Mistake{"(x + 1", "1", "never closed", "\")\""},
        Mistake{"x + 1)", "6", "closes nothing", ""}, Mistake{"v[0", "2", "never closed", "\"]\""},
        Mistake{"x = 1", "3", "assignment", "write =="}, Mistake{"1,5", "2", "comma", "point"},
        Mistake{"x * / 2", "5", "before \"/\"", ""}, Mistake{"0 < x < 1", "7", "do not chain", ""},
        Mistake{"\u03b1 + $", "5", "\"$\"", "\u03b1 + $\n    ^"},
        Mistake{"x \u2212 1", "3", "\"\u2212\"", ""}, Mistake{"x\x01", "2", "0x01", ""},
        Mistake{"1e999", "1", "64 bits", ""},
        Mistake{"atan2(x)", "1", "takes 2 arguments, not 1", ""},
        Mistake{"sin()", "1", "takes 1 argument, not 0", ""},
        Mistake{"x + y", "5", "\"y\" has no value", ""},
        Mistake{"x + sin", "5", "\"sin\" has no value", "write sin(...)"},
        Mistake{"1 + v*A", "6", "equal inner extents", "A'"}, Mistake{"v + [1, 2]", "3", "", ""},
        Mistake{"v[3]", "2", "index 3 of 3 elements", "from 0 to 2"},
        Mistake{"v[-4]", "2", "index -4 of 3 elements", ""},
        Mistake{"v[0.5]", "2", "whole number", ""}, Mistake{"v[x]", "2", "whole number", ""},
        Mistake{"v[2:1]", "2", "empty range", ""}, Mistake{"v[::0]", "2", "a step of 0", ""},
        Mistake{"x[0]", "2", "a number has no", ""}, Mistake{"v[0, 1]", "2", "2 indices", ""},
        Mistake{"[1, v]", "1", "a list holds", ""}, Mistake{"[]", "1", "empty list", ""},
        Mistake{"zeros(1e9)", "1", "a size of", ""}, Mistake{"x @ 2", "3", "not of numbers", ""}));

TEST(ExpressionTest, DepthIsBounded) {
  for (const char* open : {"(", "-", "2^", "[", "sin("}) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += open;
    try {
      Expression::parse(text);
      ADD_FAILURE() << open;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("nested deeper"));
      EXPECT_LT(error.remedy().size(), 300U);  // the place, not all of the text
    }
  }
}

}  // namespace
}  // namespace descent::optim
