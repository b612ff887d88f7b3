// A function with a derivative of its own: the formula is used, to any order, and forward mode goes
// through the function.
#include <gtest/gtest.h>

#include "tests/support/gradients.h"

namespace descent::test {
namespace {

// x^2 y; the derivative counts how often it is asked for.
Values product(ValueSpan x, int* asked) {
  const Fn f = [](ValueSpan in) { return Values{square(in[0]) * in[1]}; };
  const Pullback pullback = [asked](ValueSpan in, ValueSpan, ValueSpan g) {
    ++*asked;
    return Values{2.0 * in[0] * in[1] * g[0], square(in[0]) * g[0]};
  };
  return with_derivative(f, pullback, x);
}

TEST(OwnDerivative, PassesEveryCheckOfGradients) {
  int asked = 0;
  const Fn f = [&](ValueSpan in) { return product(in, &asked); };
  expect_gradients(f, {random_array({3, 4}, 1), random_array({3, 4}, 2)});
  EXPECT_GT(asked, 0) << "the chain rule was used instead";
}

TEST(OwnDerivative, IsComputedAtOnceToo) {
  int asked = 0;
  const std::vector<Array> x = {random_array({5}, 1), random_array({5}, 2)};
  const Fn f = [&](ValueSpan in) { return product(in, &asked); };
  expect_identical(evaluate(f, x), eager(f, x), "at once");
  const auto gradient = grad([&](ValueSpan in) { return sum(f(in)[0]); });
  expect_identical(evaluate(gradient, x), eager(gradient, x), "gradient at once");
}

}  // namespace
}  // namespace descent::test
