// Residuals with their Jacobian in every mode, what the methods for them must keep to, and what is
// known of parameters that were fitted.
#include "descent/optim/least_squares.h"

#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/fit_statistics.h"
#include "descent/optim/minimize.h"
#include "descent/optim/test_functions.h"

namespace descent::optim::test {
namespace {

Objective objective(std::int64_t size, Fn residuals) {
  Objective o;
  o.size = size;
  o.residuals = std::move(residuals);
  return o;
}

// r_i = x_i^2 + x_{i+1 mod n} for i < m: the Jacobian has 2 x_i and 1.
Objective ring(std::int64_t n, std::int64_t m) {
  return objective(n, [=](ValueSpan in) {
    const Value next = concat({slice(in[0], 0, 1, n), slice(in[0], 0, 0, 1)});
    return Values{slice(square(in[0]) + next, 0, 0, m)};
  });
}

class Jacobians : public testing::TestWithParam<std::pair<int, int>> {};
// Forward and reverse, in one plan and one direction at a time.
INSTANTIATE_TEST_SUITE_P(, Jacobians,
                         testing::Values(std::pair(3, 3), std::pair(5, 2), std::pair(40, 40),
                                         std::pair(50, 40)),
                         [](const auto& test) {
                           return std::to_string(test.param.first) + "Variables" +
                                  std::to_string(test.param.second) + "Residuals";
                         });

TEST_P(Jacobians, AreTheDerivatives) {
  const auto [n, m] = GetParam();
  LeastSquares f(ring(n, m));
  EXPECT_EQ(f.rows(), m);
  const Vector x = Vector::LinSpaced(n, -1, 2);
  Vector r, alone;
  Matrix j;
  f.residuals_and_jacobian(x, r, j);
  f.residuals(x, alone);
  EXPECT_EQ(r, alone);
  Matrix expected = Matrix::Zero(m, n);
  for (Eigen::Index i = 0; i < m; ++i) {
    EXPECT_EQ(r[i], x[i] * x[i] + x[(i + 1) % n]);
    expected(i, i) = 2 * x[i];
    expected(i, (i + 1) % n) += 1;
  }
  EXPECT_EQ(j, expected);
}

TEST(LeastSquaresTest, WantsResiduals) {
  Objective o;
  o.size = 1;
  o.value = [](ValueSpan in) { return sum(square(in[0])); };
  for (const auto* name : {"levenberg_marquardt", "gauss_newton"}) {
    try {
      minimize(o, {1}, minimizer(name));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.remedy(), testing::HasSubstr("lbfgs"));
    }
  }
}

// Rosenbrock's function as residuals: 10 (y - x^2), 1 - x.
Objective rosenbrock() {
  return objective(2, [](ValueSpan in) {
    const Value x = in[0][0], y = in[0][1];
    return Values{stack({10 * (y - square(x)), 1 - x})};
  });
}

class EveryMethod : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, EveryMethod, testing::Values("levenberg_marquardt", "gauss_newton"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(EveryMethod, FindsRosenbrocksMinimum) {
  std::vector<double> values;
  const auto found =
      minimize(rosenbrock(), {-1.2, 1}, minimizer(GetParam()),
               {.tolerance = 0, .watch = [&](const Iterate& i) { values.push_back(i.value); }});
  EXPECT_TRUE(found.converged) << found.reason;
  // Residuals of 0: nothing but rounding keeps it from (1, 1).
  EXPECT_THAT(found.x, testing::Pointwise(testing::DoubleNear(1e-14), {1.0, 1.0}));
  EXPECT_EQ(found.kind, "minimum");
  EXPECT_EQ(std::ssize(values), found.iterations + 1);
  EXPECT_TRUE(std::ranges::is_sorted(values, std::greater<>()));
  EXPECT_NEAR(values.front(), 24.2, 1e-12);
  EXPECT_LE(found.iterations, 40);
}

TEST_P(EveryMethod, MakesExactlySoManySteps) {
  for (const int steps : {1, 3, 60}) {
    int told = -1;  // the start is told, too
    const auto found = minimize(rosenbrock(), {-1.2, 1}, minimizer(GetParam()),
                                {.steps = steps, .watch = [&](const Iterate&) { ++told; }});
    EXPECT_EQ(found.iterations, steps);
    EXPECT_EQ(told, steps);
  }
}

TEST_P(EveryMethod, KeepsBounds) {
  auto o = rosenbrock();
  o.lower = {-2, -2};
  o.upper = {0.5, 2};
  const auto found =
      minimize(o, {-1.2, 1}, minimizer(GetParam()),
               {.tolerance = 0, .watch = [](const Iterate& i) { EXPECT_LE(i.x[0], 0.5); }});
  EXPECT_TRUE(found.converged) << found.reason;
  // On the bound y = x^2 is free to be met.
  EXPECT_THAT(found.x, testing::Pointwise(testing::DoubleNear(1e-14), {0.5, 0.25}));
  EXPECT_EQ(found.kind, "boundary");
  // Both held: there is no step, and the point is the answer.
  o.upper = {-1.2, 1};
  o.lower = {-1.2, 1};
  const auto fixed = minimize(o, {0, 0}, minimizer(GetParam()), {.tolerance = 0});
  EXPECT_EQ(fixed.x, (std::vector<double>{-1.2, 1}));
}

// Fewer residuals than variables, and columns that are the same: the shortest step.
TEST_P(EveryMethod, TakesTheShortestStepWhereThereIsAChoice) {
  const auto o = objective(3, [](ValueSpan in) {
    return Values{stack({in[0][0] + in[0][1] - 2, in[0][0] + in[0][1] - 2})};
  });
  const auto found = minimize(o, {0, 0, 5}, minimizer(GetParam()), {.tolerance = 0});
  EXPECT_TRUE(found.converged) << found.reason;
  EXPECT_THAT(found.x, testing::Pointwise(testing::DoubleNear(1e-14), {1.0, 1.0, 5.0}));
}

// exp(a x) with a start from which the full step overflows.
TEST_P(EveryMethod, StepsBackFromWhatIsNotFinite) {
  const auto o = objective(1, [](ValueSpan in) {
    return Values{stack({exp(in[0][0]) - 1000, exp(2 * in[0][0]) - 1e6})};
  });
  const auto found = minimize(o, {-3}, minimizer(GetParam()), {.tolerance = 0});
  EXPECT_TRUE(found.converged) << found.reason;
  EXPECT_NEAR(found.x[0], std::log(1000), 1e-13);
}

TEST_P(EveryMethod, StopsAtATolerance) {
  const auto loose = minimize(rosenbrock(), {-1.2, 1}, minimizer(GetParam()), {.tolerance = 1e-3});
  EXPECT_THAT(loose.reason, testing::StartsWith("gradient norm"));
  Options options;
  options.set("step_tolerance", 0.5);
  const auto step =
      minimize(rosenbrock(), {-1.2, 1}, minimizer(GetParam(), options), {.tolerance = 0});
  EXPECT_THAT(step.reason, testing::StartsWith("relative step"));
}

TEST_P(EveryMethod, GivesTheSameBitsAgain) {
  const auto run = [&] { return minimize(rosenbrock(), {-1.2, 1}, minimizer(GetParam())); };
  const auto a = run(), b = run();
  EXPECT_EQ(a.x, b.x);
  EXPECT_EQ(a.evaluations, b.evaluations);
}

TEST_P(EveryMethod, RefusesAStartThatIsNotFinite) {
  const auto o = objective(2, [](ValueSpan in) { return Values{log(in[0])}; });
  EXPECT_THROW(minimize(o, {1, -1}, minimizer(GetParam())), Error);
}

// The 35 problems of More, Garbow & Hillstrom: to the published least sum of squares, or another
// one that is known to stop descents.
class MghSquares : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, MghSquares, testing::Range(1, 36),
                         [](const auto& test) { return mgh_problem(test.param).name; });

TEST_P(MghSquares, AreMinimised) {
  const auto t = mgh_problem(GetParam());
  const auto found =
      minimize(t.objective, t.start, minimizer("levenberg_marquardt"), {.tolerance = 0});
  EXPECT_TRUE(found.converged) << found.reason;
  double wanted = t.minimum;
  for (const double other : t.others) {
    if (std::abs(found.value - other) < std::abs(found.value - wanted)) wanted = other;
  }
  // The published values have six digits.
  EXPECT_NEAR(found.value, wanted, 1e-5 * std::abs(wanted) + 1e-12)
      << found.iterations << " iterations, " << found.reason;
  RecordProperty("iterations", static_cast<int>(found.iterations));
  RecordProperty("reason", found.reason);
}

// A straight line through x = 1, 2, 3, 4 has closed forms for everything.
TEST(FitStatisticsTest, AreThoseOfALine) {
  const std::vector<double> x = {1, 2, 3, 4}, y = {1, 3, 2, 5};
  const auto o = objective(2, [=](ValueSpan in) {
    return Values{in[0][0] + in[0][1] * constant(Array::from(x, {4})) -
                  constant(Array::from(y, {4}))};
  });
  const auto found = minimize(o, {0, 0}, minimizer("levenberg_marquardt"), {.tolerance = 0});
  EXPECT_THAT(found.x, testing::Pointwise(testing::DoubleNear(1e-14), {0.0, 1.1}));
  const auto s = fit_statistics(o, found.x);
  EXPECT_NEAR(s.residual_sum_of_squares, 2.7, 1e-14);
  EXPECT_EQ(s.degrees_of_freedom, 2);
  EXPECT_NEAR(s.residual_standard_deviation, std::sqrt(1.35), 1e-14);
  // s^2 (1/n + mean^2 / S) and s^2 / S with S = sum (x - mean)^2 = 5.
  EXPECT_NEAR(s.standard_errors[0], std::sqrt(1.35 * (0.25 + 6.25 / 5)), 1e-13);
  EXPECT_NEAR(s.standard_errors[1], std::sqrt(1.35 / 5), 1e-13);
  EXPECT_NEAR(s.covariance[0][1], -1.35 * 2.5 / 5, 1e-13);
  EXPECT_EQ(s.covariance[0][1], s.covariance[1][0]);
  EXPECT_TRUE(s.undetermined.empty());
  EXPECT_TRUE(s.at_bound.empty());
}

// a b x + c + d + e x^3 + 0 f
TEST(FitStatisticsTest, NameWhatCannotBeToldApart) {
  const auto o = objective(6, [](ValueSpan in) {
    const Value x = constant(Array::from<double>({1, 2, 3, 4, 5, 6}, {6})), p = in[0];
    return Values{p[0] * p[1] * x + p[2] + p[3] + p[4] * x * x * x + 0 * p[5] - exp(x)};
  });
  const auto s = fit_statistics(o, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(s.undetermined,
              testing::UnorderedElementsAre(testing::ElementsAre(0, 1), testing::ElementsAre(2, 3),
                                            testing::ElementsAre(5)));
  EXPECT_EQ(s.degrees_of_freedom, 3);  // 6 rows, rank 3
  for (const std::size_t i : {0, 1, 2, 3, 5}) EXPECT_TRUE(std::isnan(s.standard_errors[i])) << i;
  EXPECT_TRUE(std::isfinite(s.standard_errors[4]));
  EXPECT_TRUE(std::isnan(s.covariance[4][0]));
}

// Columns that differ by 1e-8 of their length are hard to tell apart, but can be.
TEST(FitStatisticsTest, KeepWhatIsNearlyDependent) {
  const auto o = objective(2, [](ValueSpan in) {
    const Value x = constant(Array::from<double>({1, 2, 3}, {3})),
                near = constant(Array::from<double>({1, 2, 3 + 1e-8}, {3}));
    return Values{in[0][0] * x + in[0][1] * near - 1};
  });
  EXPECT_TRUE(fit_statistics(o, {1, 2}).undetermined.empty());
}

// The quantiles of Student's t in any table (for example Abramowitz & Stegun 26.10, or R's qt).
TEST(StudentTest, HasTheQuantilesOfTheTables) {
  EXPECT_NEAR(student_t(0.95, 1), 12.706204736174698, 1e-11);
  EXPECT_NEAR(student_t(0.95, 2), 4.302652729749462, 1e-12);
  EXPECT_NEAR(student_t(0.95, 10), 2.228138851986274, 1e-12);
  EXPECT_NEAR(student_t(0.99, 5), 4.032142983555228, 1e-12);
  EXPECT_NEAR(student_t(0.95, 120), 1.979930405082440, 1e-12);
  // The normal distribution's 1.95996398454 and its first correction, (z^3 + z) / (4 degrees).
  // Logarithms of the gamma function near 1e7 have lost seven digits by then.
  EXPECT_NEAR(student_t(0.95, 1e6), 1.959963984540054 + 2.3722712e-6, 1e-9);
  EXPECT_THROW(student_t(1, 3), Error);
  EXPECT_THROW(student_t(0.95, 0), Error);
}

}  // namespace
}  // namespace descent::optim::test
