// What is known of parameters that were fitted by least squares.
//
// Near the solution the covariance of the parameters is s^2 (J^T J)^-1 with the Jacobian J of the
// residuals and s^2 = |r|^2 / (m - n) (Seber & Wild 1989, "Nonlinear regression", section 5.1); it
// is computed from the singular values of J, since J^T J has the square of its condition.
#pragma once
#include <cstdint>
#include <vector>

#include "descent/optim/minimize.h"

namespace descent::optim {

// What the residuals say about the n parameters at a point. NaN: not determined.
struct FitStatistics {
  double residual_sum_of_squares = 0;
  std::int64_t degrees_of_freedom = 0;  // m minus the rank of J
  double residual_standard_deviation = 0;
  std::vector<std::vector<double>> covariance;  // [n][n]
  std::vector<double> standard_errors;          // [n]
  // Groups of parameters that cannot be told apart: the residuals do not change where they move
  // together. A group of one has no effect at all.
  std::vector<std::vector<std::int64_t>> undetermined;
  std::vector<std::int64_t> at_bound;  // not estimated: they lie on a bound
};
// At the point where minimize() ended, say. The objective must have residuals.
FitStatistics fit_statistics(const Objective& objective, const std::vector<double>& x);

// The number that |t| exceeds with probability 1 - level, for Student's t: the half width of an
// interval in standard errors. level in (0, 1); degrees >= 1.
double student_t(double level, double degrees);

}  // namespace descent::optim
