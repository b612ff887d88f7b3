// Nonlinear least squares: residuals with their Jacobian, compiled once, and what the methods for
// them share. The sum of squares is F(x) = |r(x)|^2, its gradient 2 J^T r.
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
// it counts as converged where the first of these steps is small, or the residuals are orthogonal
// to the columns of J, or have vanished.
void finish_by_shrinking_steps(Run& run, LeastSquares& f, double sum_at_start);

}  // namespace descent::optim
