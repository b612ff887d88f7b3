// Functions minimised by name of the method: gradients by differentiation, one's own gradient
// checked against them, bounds, and what kind of point was found.
//
//   script/examples minimize
#include <descent/descent.h>

#include <iostream>

int main() {
  using namespace descent;
  const auto rosenbrock = [](const Value& v) {
    return 100.0 * square(v[1] - square(v[0])) + square(1.0 - v[0]);
  };
  for (const auto* name : {"gd", "lbfgs", "newton"}) {
    const auto found =
        optim::minimize(rosenbrock, {-1.2, 1}, optim::minimizer(name), {.max_iterations = 1000});
    std::cout << name << ": f(" << found.x[0] << ", " << found.x[1] << ") = " << found.value << ", "
              << found.iterations << " iterations, " << found.evaluations << " evaluations, "
              << found.reason << "; " << found.kind << "\n";
  }

  // With x <= 0.5 the valley ends at the bound. The gradient is ours to give; a mistake in it is an
  // error that names the component.
  optim::Objective bounded;
  bounded.size = 2;
  bounded.value = [&](ValueSpan in) { return rosenbrock(in[0]); };
  bounded.upper = {0.5, 10};
  bounded.lower = {-10, -10};
  bounded.gradient = [](std::span<const double> x) {
    const double rise = x[1] - x[0] * x[0];
    return std::vector<double>{-400 * x[0] * rise - 2 * (1 - x[0]), 200 * rise};
  };
  const auto found = optim::minimize(bounded, {-1.2, 1}, nullptr, {.check_gradient = true});
  std::cout << "x <= 0.5: f(" << found.x[0] << ", " << found.x[1] << ") = " << found.value << ", "
            << found.kind << "\n";
}
