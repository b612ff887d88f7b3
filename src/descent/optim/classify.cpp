// The kind of a stationary point.
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "descent/optim/run.h"

namespace descent::optim {
namespace {

constexpr Eigen::Index kMostVariables = 200;  // the Hessian's price: n products, n^3 operations
constexpr double kNone = 1e-7;                // curvature that rounding can make

struct Signs {
  int negative = 0, zero = 0, positive = 0;
};

Signs signs_of(const Vector& eigenvalues) {
  Signs s;
  for (const double e : eigenvalues) ++(e < -kNone ? s.negative : e > kNone ? s.positive : s.zero);
  return s;
}

// d^-1/2 for the Hessian's diagonal d, 1 / sqrt of the largest entry where d is too small to tell.
Vector scales(const Matrix& h) {
  const double largest = h.cwiseAbs().maxCoeff();
  Vector s(h.rows());
  for (Eigen::Index i = 0; i < s.size(); ++i) {
    // No entry of a semidefinite row exceeds sqrt(h_ii h_jj): with |h_ij|, rows of saddles too.
    const double row =
        std::max(std::abs(h(i, i)), h.row(i).squaredNorm() / std::max(largest, 1e-300));
    s[i] = 1 / std::sqrt(row > 1e-14 * largest ? row : largest);
  }
  return s;
}

Matrix scaled(const Matrix& h, const Vector& s) { return s.asDiagonal() * h * s.asDiagonal(); }

}  // namespace

Classified classify(Evaluator& f, const Vector& x, const Vector& gradient, double tolerance) {
  Classified found{.kind = "unknown", .eigenvalues = {}};
  if (x.size() > kMostVariables) return found;
  const Matrix h = f.hessian(x);
  if (!h.allFinite()) return found;
  const Eigen::SelfAdjointEigenSolver<Matrix> plain(h, Eigen::EigenvaluesOnly);
  found.eigenvalues.assign(plain.eigenvalues().begin(), plain.eigenvalues().end());
  const double largest = h.cwiseAbs().maxCoeff();
  const double norm = gradient.norm();
  if (largest <= 1e-12) {  // a constant, or the bottom of x^4
    if (norm <= std::max(tolerance, 1e-8)) found.kind = "flat";
    return found;
  }
  const Vector s = scales(h);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(scaled(h, s));
  const auto& curvature = solver.eigenvalues();
  Signs signs = signs_of(curvature);
  // The way to the stationary point of the quadratic model, in the directions that have curvature.
  Vector along = solver.eigenvectors().transpose() * (s.asDiagonal() * gradient);
  double rest = 0;
  for (Eigen::Index i = 0; i < along.size(); ++i) {
    if (std::abs(curvature[i]) <= kNone) {
      rest = std::max(rest, std::abs(along[i]));
      along[i] = 0;
    } else {
      along[i] /= -curvature[i];
    }
  }
  const Vector step = s.asDiagonal() * (solver.eigenvectors() * along);
  const bool near = step.norm() <= 1e-3 * (1 + x.norm()) && rest <= 1e-6;
  if (norm > tolerance && !near) return found;
  if (norm > 0 && step.allFinite()) {
    const Matrix there = f.hessian(x + step);
    if (there.allFinite()) {
      const Vector after =
          (solver.eigenvectors().transpose() * scaled(there, s) * solver.eigenvectors()).diagonal();
      for (Eigen::Index i = 0; i < after.size(); ++i) {
        if (std::abs(curvature[i]) <= kNone) continue;
        if (std::abs(after[i] - curvature[i]) <= 0.5 * std::abs(curvature[i])) continue;
        --(curvature[i] > 0 ? signs.positive : signs.negative);
        ++signs.zero;
      }
    }
  }
  if (signs.negative > 0 && signs.positive > 0) {
    found.kind = "saddle";
  } else if (signs.zero > 0) {
    found.kind = "flat";
  } else {
    found.kind = signs.negative > 0 ? "maximum" : "minimum";
  }
  return found;
}

}  // namespace descent::optim
