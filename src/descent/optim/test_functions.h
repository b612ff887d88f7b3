// Functions to try minimisers on, with their customary starts and known minima.
//
// Two families: the classical ones with pictures (rosenbrock, himmelblau, ackley, ...), and the 35
// problems of More, Garbow & Hillstrom 1981, "Testing unconstrained optimization software", ACM
// TOMS 7, as residuals whose sum of squares is minimised: mgh01_rosenbrock ... mgh35_chebyquad.
#pragma once
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "descent/optim/minimize.h"

namespace descent::optim {

struct TestFunction {
  std::string name, formula;
  Objective objective;
  std::vector<double> start;
  // The least value known and, where it is unique and simple, the point.
  double minimum = 0;
  std::vector<double> at;
  // Other stationary values that a descent from the start may end in (local minima; infima at
  // infinity).
  std::vector<double> others;
  // Where a picture of a function of two variables looks: {x low, x high, y low, y high}.
  std::vector<double> window;
};

// size: the number of variables, 0: the function's own default. A usage error where the function
// has no such size, or there is no such function ("did you mean").
TestFunction test_function(const std::string& name, std::int64_t size = 0);
std::vector<std::string> test_function_names();

// The MGH problem of this number, 1 to 35.
TestFunction mgh_problem(int number, std::int64_t size = 0);

}  // namespace descent::optim
