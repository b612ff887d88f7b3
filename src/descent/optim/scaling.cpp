#include "descent/optim/scaling.h"

#include <cmath>

namespace descent::optim {

Vector curvature_scales(const Matrix& h) {
  const Vector jacobi = h.diagonal().cwiseMax(0).cwiseSqrt();
  if (jacobi.minCoeff() > 0 && scaled(h, jacobi).cwiseAbs().maxCoeff() < 1 + 1e-8) return jacobi;
  constexpr int kSweeps = 30;  // each halves the distance in digits: 1e300 becomes 1
  Vector s = Vector::Ones(h.rows());
  Matrix rest = h.cwiseAbs();
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double furthest = 0;
    Vector root(s.size());
    for (Eigen::Index i = 0; i < s.size(); ++i) {
      const double largest = rest.row(i).maxCoeff();
      root[i] = largest > 0 && std::isfinite(largest) ? std::sqrt(largest) : 1;
      furthest = std::max(furthest, std::abs(std::log(root[i])));
    }
    s = s.cwiseProduct(root);
    rest = root.cwiseInverse().asDiagonal() * rest * root.cwiseInverse().asDiagonal();
    if (furthest < 0.1) break;
  }
  return s;
}

}  // namespace descent::optim
