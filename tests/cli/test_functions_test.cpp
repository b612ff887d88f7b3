// The named functions have the minima that the literature gives them.
#include "descent/cli/test_functions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/cli/minimize_problem.h"
#include "descent/optim/minimize.h"

namespace descent::cli {
namespace {

struct Known {
  const char* name;
  double value;
  std::int64_t size = 0;
};
void PrintTo(const Known& known, std::ostream* out) { *out << known.name << " " << known.size; }

class TestFunctionMinimum : public ::testing::TestWithParam<Known> {};

TEST_P(TestFunctionMinimum, IsReachedFromTheUsualStart) {
  const auto& known = GetParam();
  const auto problem = read_problem({.function = known.name, .size = known.size});
  const auto found =
      optim::minimize(problem.objective(), problem.start, optim::minimizer("trust_region"),
                      {.max_iterations = 5000, .tolerance = 1e-12});
  // Published with six digits.
  EXPECT_NEAR(found.value, known.value, 1e-5 * std::abs(known.value) + 1e-10) << found.reason;
}

// Values: More, Garbow and Hillstrom 1981; where the start leads to another of the minima that the
// paper gives, that one.
INSTANTIATE_TEST_SUITE_P(
    All, TestFunctionMinimum,
    ::testing::Values(
        Known{"rosenbrock", 0}, Known{"freudenstein-roth", 48.98425},
        Known{"powell-badly-scaled", 0}, Known{"brown-badly-scaled", 0}, Known{"beale", 0},
        Known{"jennrich-sampson", 124.3622}, Known{"helical-valley", 0}, Known{"bard", 8.214877e-3},
        Known{"gaussian", 1.127933e-8}, Known{"meyer", 87.94586}, Known{"gulf", 0}, Known{"box", 0},
        Known{"powell-singular", 0}, Known{"wood", 0}, Known{"kowalik-osborne", 3.075056e-4},
        Known{"brown-dennis", 85822.20}, Known{"osborne1", 5.464895e-5},
        Known{"biggs-exp6", 5.655650e-3}, Known{"osborne2", 4.013774e-2},
        Known{"watson", 2.287670e-3}, Known{"watson", 1.399760e-6, 9},
        Known{"extended-rosenbrock", 0}, Known{"powell-singular", 0, 8},
        Known{"penalty1", 2.249978e-5}, Known{"penalty1", 7.087651e-5, 10},
        Known{"penalty2", 9.376293e-6}, Known{"penalty2", 2.936605e-4, 10},
        Known{"variably-dimensioned", 0}, Known{"trigonometric", 2.795056e-5},
        Known{"brown-almost-linear", 0}, Known{"discrete-boundary", 0},
        Known{"discrete-integral", 0}, Known{"broyden-tridiagonal", 0}, Known{"broyden-banded", 0},
        Known{"linear-full-rank", 10}, Known{"linear-rank1", 90.0 / 42},
        Known{"linear-rank1-zero", 124.0 / 34}, Known{"chebyquad", 3.516874e-3}, Known{"booth", 0},
        Known{"matyas", 0}, Known{"sphere", 0, 7}, Known{"zakharov", 0},
        Known{"goldstein-price", 3}, Known{"mccormick", -1.913223}, Known{"quadratic", 0, 5}));

TEST(TestFunctions, SizesAreChecked) {
  EXPECT_EQ(start_of(*find_test_function("rosenbrock"), 4), "x=[-1.2,1,-1.2,1]");
  EXPECT_EQ(start_of(*find_test_function("penalty1"), 3), "x=(range(3) + 1)");
  EXPECT_THROW(start_of(*find_test_function("powell-singular"), 6), Error);
  EXPECT_THROW(start_of(*find_test_function("beale"), 3), Error);
  EXPECT_THROW(start_of(*find_test_function("chebyquad"), 9), Error);
  EXPECT_FALSE(find_test_function("rosenbrok"));
}

}  // namespace
}  // namespace descent::cli
