// A decay with three parameters, fitted to ten measurements by Levenberg-Marquardt: the Jacobian
// of the residuals comes by differentiation, the standard errors from it. From the command line:
//
//   descent fit examples/decay.csv "y ~ a*exp(-b*x) + c" --start a=1,b=1,c=0
//
//   script/examples least_squares
#include <descent/descent.h>

#include <iostream>

int main() {
  using namespace descent;
  const Value x = constant(Array::from<double>({0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5}, {10}));
  const Value y = constant(
      Array::from<double>({4.02, 3.31, 2.84, 2.39, 2.12, 1.84, 1.69, 1.51, 1.42, 1.30}, {10}));
  optim::Objective objective;
  objective.size = 3;
  objective.residuals = [&](ValueSpan in) {
    const Value a = in[0][0], b = in[0][1], c = in[0][2];
    return Values{a * exp(-(b * x)) + c - y};
  };
  // tolerance 0: as far as rounding lets it come.
  const auto found = optim::minimize(objective, {1, 1, 0}, optim::minimizer("levenberg_marquardt"),
                                     {.tolerance = 0});
  const auto judged = optim::fit_statistics(objective, found.x);
  for (std::size_t i = 0; i < found.x.size(); ++i) {
    std::cout << "abc"[i] << " = " << found.x[i] << " +- " << judged.standard_errors[i] << "\n";
  }
  std::cout << "residual sum of squares " << judged.residual_sum_of_squares << ", "
            << found.iterations << " iterations: " << found.reason << "\n";
}
