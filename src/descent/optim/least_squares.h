// Nonlinear least squares: residuals with their Jacobian, compiled once, and what is known of
// parameters that were fitted.
//
// The sum of squares is F(x) = |r(x)|^2, its gradient 2 J^T r. Near the solution the covariance of
// the parameters is s^2 (J^T J)^-1 with s^2 = F / (m - n) (Seber & Wild 1989, "Nonlinear
// regression", section 5.1); it is computed from J itself, since J^T J has the square of its
// condition.
#pragma once
#include <string>
#include <vector>

#include "descent/optim/evaluator.h"

namespace descent::optim {

class Run;

// r(x) and J(x). Not for several threads at once.
class LeastSquares {
 public:
  // Throws a usage error where the objective has no residuals, or not float64 ones.
  explicit LeastSquares(const Objective& objective);

  Eigen::Index rows() const { return rows_; }     // m
  Eigen::Index columns() const { return size_; }  // n
  void residuals(const Vector& x, Vector& r);
  // Also J [m, n]: forward mode where m >= n, else reverse mode.
  void residuals_and_jacobian(const Vector& x, Vector& r, Matrix& j);

 private:
  void compile_jacobian();
  void run(Plan& plan, const Vector& x);

  Fn residuals_;
  Eigen::Index size_ = 0, rows_ = 0;
  Plan plan_, jacobian_;
  bool forward_ = true, one_by_one_ = false;
};

// The columns of a Jacobian that may change, each divided by its length (1 where that is 0).
struct ScaledJacobian {
  std::vector<Eigen::Index> free;
  Vector scale;  // of the free columns
  Matrix j;      // [m, free]
};
// All columns but those of variables that are at a bound which the gradient presses against.
// scale: the least to divide by, of all columns; grows to the lengths of these.
ScaledJacobian scaled_jacobian(const Run& run, const Matrix& j, Vector& scale);

// The shortest q that minimises |r + J q|.
Vector shortest_solution(const Matrix& j, const Vector& r);

// Where the sum of squares no longer tells better from worse (it is flat to half of the digits of
// x), the Gauss-Newton step still does: steps are taken as long as they shrink. Ends the run;
// it counts as converged where the last step is small, or the residuals are orthogonal to the
// columns of J.
void finish_by_shrinking_steps(Run& run, LeastSquares& f, const std::string& reason);

// What the residuals say about the parameters at a point. NaN: not determined.
struct FitStatistics {
  double residual_sum_of_squares = 0;
  std::int64_t degrees_of_freedom = 0;  // m minus the rank of J
  double residual_standard_deviation = 0;
  Matrix covariance;                    // [n, n]
  std::vector<double> standard_errors;  // [n]
  // Groups of parameters that cannot be told apart: the residuals do not change where they move
  // together. A group of one has no effect at all.
  std::vector<std::vector<std::int64_t>> undetermined;
  std::vector<std::int64_t> at_bound;  // not estimated: they lie on a bound
};
FitStatistics fit_statistics(const Objective& objective, const std::vector<double>& x);

// The number that |t| exceeds with probability 1 - level, for Student's t: the half width of an
// interval in standard errors. level in (0, 1); degrees >= 1.
double student_t(double level, double degrees);

}  // namespace descent::optim
