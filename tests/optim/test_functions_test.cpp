// The test functions at their published starts and minima, and the minimisers on the problems of
// More, Garbow & Hillstrom.
#include "descent/optim/test_functions.h"

#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/compile/plan.h"
#include "descent/optim/evaluator.h"

namespace descent::optim::test {
namespace {

double value_at(const TestFunction& t, const std::vector<double>& x) {
  Evaluator f(t.objective);
  return f.value(Vector::Map(x.data(), std::ssize(x)));
}

class EveryFunction : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, EveryFunction, testing::ValuesIn(test_function_names()),
                         [](const auto& test) { return test.param; });

// The point that is told has the value that is told, and no gradient.
TEST_P(EveryFunction, HasItsMinimumWhereItIsSaid) {
  const auto t = test_function(GetParam());
  ASSERT_EQ(std::ssize(t.start), t.objective.size);
  EXPECT_FALSE(t.formula.empty());
  EXPECT_TRUE(std::isfinite(value_at(t, t.start)));
  if (t.at.empty()) return;
  ASSERT_EQ(std::ssize(t.at), t.objective.size);
  EXPECT_NEAR(value_at(t, t.at), t.minimum, 1e-12 * (1 + std::abs(t.minimum)));
  Evaluator f(t.objective);
  if (GetParam() == "ackley") return;  // a cusp
  EXPECT_LT(f.differentiated(Vector::Map(t.at.data(), std::ssize(t.at))).norm(), 1e-6);
}

// |f(x0)|^2 that follows by hand from the formulas, or is published.
TEST(MghStarts, HaveThePublishedValuesAtTheStarts) {
  EXPECT_NEAR(value_at(mgh_problem(1), mgh_problem(1).start), 24.2, 1e-12);
  EXPECT_NEAR(value_at(mgh_problem(2), mgh_problem(2).start), 400.5, 1e-10);
  EXPECT_NEAR(value_at(mgh_problem(5), mgh_problem(5).start), 14.203125, 1e-12);
  EXPECT_NEAR(value_at(mgh_problem(7), mgh_problem(7).start), 2500, 1e-9);
  EXPECT_NEAR(value_at(mgh_problem(13), mgh_problem(13).start), 215, 1e-10);
  EXPECT_NEAR(value_at(mgh_problem(14), mgh_problem(14).start), 19192, 1e-8);
  EXPECT_NEAR(std::sqrt(value_at(mgh_problem(16), mgh_problem(16).start)), 2815.43844, 1e-4);
  EXPECT_NEAR(value_at(mgh_problem(20), mgh_problem(20).start), 30, 1e-10);
}

// Descends to the published least sum of squares, or to another value that is known to stop
// descents; at the minimum Newton's trust region agrees to all published digits.
class Mgh : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, Mgh, testing::Range(1, 36),
                         [](const auto& test) { return mgh_problem(test.param).name; });

double nearest(const TestFunction& t, double value) {
  double best = t.minimum;
  for (const double other : t.others) {
    if (std::abs(value - other) < std::abs(value - best)) best = other;
  }
  return best;
}

TEST_P(Mgh, IsMinimised) {
  const auto t = mgh_problem(GetParam());
  for (const char* name : {"trust_region", "lbfgs", "newton", "bfgs"}) {
    const auto found = minimize(t.objective, t.start, minimizer(name));
    const double wanted = nearest(t, found.value);
    EXPECT_NEAR(found.value, wanted, 1e-5 * std::abs(wanted) + 1e-8)
        << name << ": " << found.reason;
  }
}

TEST(TestFunctions, OfOtherSizes) {
  EXPECT_EQ(test_function("rosenbrock", 1000).start.size(), 1000u);
  EXPECT_EQ(test_function("rastrigin", 5).at.size(), 5u);
  EXPECT_NEAR(test_function("styblinski_tang", 3).minimum, -117.49849711131426, 1e-10);
  EXPECT_EQ(mgh_problem(22, 16).start.size(), 16u);
  for (const auto& [number, size] : std::vector<std::pair<int, int>>{
           {20, 9}, {23, 4}, {24, 4}, {32, 5}, {33, 5}, {34, 5}, {35, 8}, {35, 10}}) {
    const auto t = mgh_problem(number, size);
    const auto found = minimize(t.objective, t.start, minimizer("trust_region"));
    EXPECT_NEAR(found.value, t.minimum, 1e-5 * t.minimum) << t.name << " " << size;
  }
}

TEST(TestFunctions, ErrorsSayWhatToDo) {
  const auto error_of = [](const char* name, int size) -> std::string {
    try {
      test_function(name, size);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("rosenbrok", 0), testing::HasSubstr("did you mean \"rosenbrock\"?"));
  EXPECT_THAT(error_of("beale", 3), testing::HasSubstr("a function of 2 variables, not 3"));
  EXPECT_THAT(error_of("mgh22", 6), testing::HasSubstr("multiple of 4"));
  EXPECT_THAT(error_of("mgh07_helical_valley", 4), testing::HasSubstr("3 variables, not 4"));
  EXPECT_EQ(test_function("mgh07").name, "mgh07_helical_valley");
}

}  // namespace
}  // namespace descent::optim::test
