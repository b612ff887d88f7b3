#include "descent/optim/lbfgs_memory.h"

#include <algorithm>
#include <limits>

#include "descent/kernels/blas1.h"

namespace descent::optim {

LbfgsMemory::LbfgsMemory(Eigen::Index size, std::int64_t history)
    : s_(size, history), y_(size, history), rho_(history), alpha_(history) {}

void LbfgsMemory::add(const Vector& s, const Vector& y) {
  const double sy = dot(s, y), yy = dot(y, y);
  if (!(sy > std::numeric_limits<double>::epsilon() * yy)) return;
  s_.col(next_) = s;
  y_.col(next_) = y;
  rho_[next_] = 1 / sy;
  gamma_ = sy / yy;
  next_ = (next_ + 1) % rho_.size();
  count_ = std::min(count_ + 1, rho_.size());
}

// Each pass subtracts a pair's vector and takes the next product: the loops are bound by memory.
void LbfgsMemory::direction(const Vector& g, Vector& d) {
  d = -g;
  if (count_ == 0) return;
  const auto n = d.size();
  double product = kernels::dot(d.data(), s_.col(at(1)).data(), n);
  for (Eigen::Index i = 1; i <= count_; ++i) {
    const auto k = at(i);
    alpha_[k] = rho_[k] * product;
    const double* next = i < count_ ? s_.col(at(i + 1)).data() : y_.col(k).data();
    product = kernels::add_scaled_dot(-alpha_[k], y_.col(k).data(), d.data(), next, n);
  }
  d *= gamma_;
  product *= gamma_;
  for (Eigen::Index i = count_; i >= 1; --i) {
    const auto k = at(i);
    const double factor = alpha_[k] - rho_[k] * product;
    const double* next = i > 1 ? y_.col(at(i - 1)).data() : s_.col(k).data();
    product = kernels::add_scaled_dot(factor, s_.col(k).data(), d.data(), next, n);
  }
}

void LbfgsMemory::direction(const Vector& g, const Vector& free, Vector& d) {
  d = -g.cwiseProduct(free);
  Vector rho = Vector::Zero(rho_.size());  // 0: the pair has no positive curvature in the subspace
  double gamma = 0;
  for (Eigen::Index i = 1; i <= count_; ++i) {
    const auto k = at(i);
    const auto y = y_.col(k).cwiseProduct(free);
    const double sy = s_.col(k).dot(y), yy = y.squaredNorm();
    if (!(sy > std::numeric_limits<double>::epsilon() * yy)) continue;
    rho[k] = 1 / sy;
    if (gamma == 0) gamma = sy / yy;
    alpha_[k] = rho[k] * s_.col(k).dot(d);
    d -= alpha_[k] * y;
  }
  if (gamma > 0) d *= gamma;
  for (Eigen::Index i = count_; i >= 1; --i) {
    const auto k = at(i);
    if (rho[k] == 0) continue;
    d += (alpha_[k] - rho[k] * y_.col(k).dot(d)) * s_.col(k).cwiseProduct(free);
  }
}

}  // namespace descent::optim
