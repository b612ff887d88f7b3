// Line searches on the functions of More & Thuente 1994, "Line search algorithms with guaranteed
// sufficient decrease", which start them far below and far above the right step.
#include "descent/optim/line_search.h"

#include <gmock/gmock.h>

#include <cmath>

namespace descent::optim::test {
namespace {

struct Hard {
  std::string name;
  std::function<double(double)> value, slope;
};

// (5.1) with beta = 2, (5.2) with beta = 0.004, and (5.4), Yanai's, with three pairs of betas.
double gamma(double b) { return std::sqrt(1 + b * b) - b; }
Hard yanai(const std::string& name, double b1, double b2) {
  return {name,
          [=](double a) {
            return gamma(b1) * std::sqrt((1 - a) * (1 - a) + b2 * b2) +
                   gamma(b2) * std::sqrt(a * a + b1 * b1);
          },
          [=](double a) {
            return gamma(b1) * (a - 1) / std::sqrt((1 - a) * (1 - a) + b2 * b2) +
                   gamma(b2) * a / std::sqrt(a * a + b1 * b1);
          }};
}
std::vector<Hard> functions() {
  return {{"rational", [](double a) { return -a / (a * a + 2); },
           [](double a) { return (a * a - 2) / ((a * a + 2) * (a * a + 2)); }},
          {"quintic", [](double a) { return std::pow(a + 0.004, 5) - 2 * std::pow(a + 0.004, 4); },
           [](double a) { return 5 * std::pow(a + 0.004, 4) - 8 * std::pow(a + 0.004, 3); }},
          yanai("yanai1", 0.001, 0.001),
          yanai("yanai2", 0.01, 0.001),
          yanai("yanai3", 0.001, 0.01)};
}

struct Trial {
  Hard f;
  double first;
};
std::vector<Trial> trials() {
  std::vector<Trial> all;
  for (const auto& f : functions()) {
    for (const double first : {1e-3, 1e-1, 1e1, 1e3}) all.push_back({f, first});
  }
  return all;
}
class Searches : public testing::TestWithParam<Trial> {
 protected:
  LinePoint at(double a) {
    ++evaluations;
    const auto& f = GetParam().f;
    return {a, f.value(a), f.slope(a)};
  }
  int evaluations = 0;
};
INSTANTIATE_TEST_SUITE_P(, Searches, testing::ValuesIn(trials()), [](const auto& test) {
  return test.param.f.name + "_from_1e" +
         std::to_string(static_cast<int>(std::lround(std::log10(test.param.first))) + 3);
});

TEST_P(Searches, StrongWolfeHolds) {
  const auto start = at(0);
  const LineSearchOptions o{.decrease = 1e-3, .curvature = 0.1};
  const auto r = strong_wolfe([this](double a) { return at(a); }, start, GetParam().first, o);
  ASSERT_TRUE(r.found);
  EXPECT_LE(r.point.value, start.value + 1e-3 * r.point.step * start.slope);
  EXPECT_LE(std::abs(r.point.slope), 0.1 * std::abs(start.slope));
  EXPECT_LE(evaluations, 25);  // More & Thuente need up to 12
}

TEST_P(Searches, HagerZhangHolds) {
  const auto start = at(0);
  const LineSearchOptions o{.decrease = 0.1, .curvature = 0.9};
  const auto r = hager_zhang([this](double a) { return at(a); }, start, GetParam().first, o);
  ASSERT_TRUE(r.found);
  EXPECT_GE(r.point.slope, 0.9 * start.slope);
  const bool wolfe = r.point.value <= start.value + 0.1 * r.point.step * start.slope;
  const bool approximate = r.point.slope <= (2 * 0.1 - 1) * start.slope &&
                           r.point.value <= start.value + 1e-6 * std::abs(start.value);
  EXPECT_TRUE(wolfe || approximate);
  EXPECT_LE(evaluations, 40);
}

TEST_P(Searches, ArmijoHolds) {
  const auto start = at(0);
  const auto r = armijo([this](double a) { return at(a); }, start, GetParam().first);
  ASSERT_TRUE(r.found);
  EXPECT_LE(r.point.value, start.value + 1e-4 * r.point.step * start.slope);
  EXPECT_LE(r.point.step, GetParam().first);
  EXPECT_LE(evaluations, 15);
}

class Named : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, Named, testing::ValuesIn(line_search_names()),
                         [](const auto& test) { return test.param; });

// -log(1 - a) - 2 a is NaN from 1 on; minimum at 0.5.
TEST_P(Named, StepsBackFromNaN) {
  const Phi phi = [](double a) { return LinePoint{a, -std::log(1 - a) - 2 * a, 1 / (1 - a) - 2}; };
  for (const double first : {1.0, 5.0, 1e6}) {
    const auto r = line_search(GetParam())(phi, phi(0), first, {});
    ASSERT_TRUE(r.found) << first;
    EXPECT_LT(r.point.step, 1);
    EXPECT_LT(r.point.value, 0);
  }
}

TEST_P(Named, FindsNothingUphill) {
  const Phi phi = [](double a) { return LinePoint{a, a, a == 0 ? -1e-3 : 1}; };  // a wrong slope
  EXPECT_FALSE(line_search(GetParam())(phi, phi(0), 1, {}).found);
}

// Where values differ by rounding only, slopes still lead to the minimum.
TEST_P(Named, GoesBySlopesWhereValuesAreLevel) {
  const Phi phi = [](double a) {
    const double d = a - 1;
    return LinePoint{a, 1e8 + 1e-12 * d * d, 2e-12 * d};
  };
  const auto r = line_search(GetParam())(phi, phi(0), 1.3, {});
  ASSERT_TRUE(r.found);
  EXPECT_NEAR(r.point.step, 1, 0.95);
}

TEST(StrongWolfe, IsExactOnAParabola) {
  const Phi phi = [](double a) { return LinePoint{a, (a - 3) * (a - 3), 2 * (a - 3)}; };
  for (const double first : {0.1, 1.0, 4.0, 50.0}) {
    const auto r = strong_wolfe(phi, phi(0), first, {.curvature = 1e-10});
    ASSERT_TRUE(r.found);
    EXPECT_NEAR(r.point.step, 3, 1e-9);
  }
}

TEST(StrongWolfe, KeepsTheLongestStep) {
  const Phi phi = [](double a) { return LinePoint{a, -a, -1}; };
  const auto r = strong_wolfe(phi, phi(0), 1, {.longest = 7});
  ASSERT_TRUE(r.found);
  EXPECT_EQ(r.point.step, 7);
}

// The minimum of the cubic t^3 - 3 t + 1 is at 1.
TEST(Interpolate, FindsTheMinimumOfACubic) {
  const auto at = [](double t) { return LinePoint{t, t * t * t - 3 * t + 1, 3 * t * t - 3}; };
  EXPECT_NEAR(interpolate(at(0), at(2)), 1, 1e-14);
  EXPECT_NEAR(interpolate(at(2), at(0.5)), 1, 1e-14);
  EXPECT_NEAR(interpolate({0, 1, -1}, {10, NAN, NAN}), 1, 1e-14);  // a tenth of the way
}

}  // namespace
}  // namespace descent::optim::test
