// Scales of variables, from the curvature along them.
#pragma once
#include "descent/optim/evaluator.h"

namespace descent::optim {

// s with rows of S^-1 H S^-1 whose largest entry is 1, S = diag(s). Of a positive semidefinite H
// this is the root of its diagonal (Jacobi's scaling), since there |h_ij| <= sqrt(h_ii h_jj); at a
// saddle the diagonal may say too little, and rows are divided by the roots of their maxima until
// these are between 0.8 and 1.25 (Ruiz 2001). A row of zeros has the scale 1.
//
// Where variables change their units, x = U y, the scales of y are U s for a definite H: so what is
// done in the variables S x does not depend on units.
//
// Marquardt 1963; More 1978, "The Levenberg-Marquardt algorithm: implementation and theory".
Vector curvature_scales(const Matrix& h);

// S^-1 H S^-1.
inline Matrix scaled(const Matrix& h, const Vector& s) {
  return s.cwiseInverse().asDiagonal() * h * s.cwiseInverse().asDiagonal();
}

}  // namespace descent::optim
