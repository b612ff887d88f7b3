#include "descent/optim/l1.h"

namespace descent::optim {

Vector pseudo_gradient(const Vector& x, const Vector& gradient, double weight) {
  Vector p(x.size());
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    if (x[i] == 0) {
      p[i] = shrink(gradient[i], weight);
    } else {
      p[i] = gradient[i] + std::copysign(weight, x[i]);
    }
  }
  return p;
}

void penalise(Run& run, double weight) {
  run.penalty = [weight](const Vector& x) { return weight * x.lpNorm<1>(); };
  run.stationarity = [weight, &run](const Vector& x, const Vector& gradient) {
    Vector p = pseudo_gradient(x, gradient, weight);
    if (run.has_bounds()) p = x - run.inside(x - p);
    return p.norm();
  };
}

Option l1_option() {
  return number_option("l1", 0, "weight of the penalty l1 * |x|_1 that is added to the function");
}

}  // namespace descent::optim
