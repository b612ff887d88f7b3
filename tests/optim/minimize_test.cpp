// The minimisers on functions whose minima are known.
#include "descent/optim/minimize.h"

#include <gmock/gmock.h>

#include "descent/ops/ops.h"

namespace descent::optim::test {
namespace {

Value rosenbrock(const Value& v) {
  return 100.0 * square(v[1] - square(v[0])) + square(1.0 - v[0]);
}

TEST(Lbfgs, FindsTheMinimumOfRosenbrock) {
  const auto found = minimize(rosenbrock, {-1.2, 1.0});
  EXPECT_NEAR(found.x[0], 1, 1e-7);
  EXPECT_NEAR(found.x[1], 1, 1e-7);
  EXPECT_TRUE(found.converged) << found.reason;
  EXPECT_EQ(found.kind, "minimum");
}

}  // namespace
}  // namespace descent::optim::test
