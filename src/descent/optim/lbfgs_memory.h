// What the methods of the L-BFGS family share.
#pragma once
#include "descent/optim/run.h"

namespace descent::optim {

// The last pairs s = x' - x, y = g' - g, the oldest overwritten, and the inverse Hessian H they
// stand for: Nocedal & Wright 2006, algorithm 7.4, begun with s'y / y'y times the identity.
class LbfgsMemory {
 public:
  LbfgsMemory(Eigen::Index size, std::int64_t history);

  void clear() { count_ = 0; }
  bool empty() const { return count_ == 0; }
  // Keeps the pair where s'y > eps y'y: positive curvature, which H needs to be positive definite.
  void add(const Vector& s, const Vector& y);
  // d = -H g
  void direction(const Vector& g, Vector& d);
  // The same in the subspace of the variables where free is 1; d is 0 where it is 0.
  void direction(const Vector& g, const Vector& free, Vector& d);

 private:
  Eigen::Index at(Eigen::Index back) const { return (next_ - back + rho_.size()) % rho_.size(); }

  Matrix s_, y_;
  Vector rho_, alpha_;
  double gamma_ = 1;
  Eigen::Index count_ = 0, next_ = 0;
};

// L-BFGS within the run's bounds, by projection; see minimizers/lbfgsb.cpp.
void projected_lbfgs(Run& run, std::int64_t history);

}  // namespace descent::optim
