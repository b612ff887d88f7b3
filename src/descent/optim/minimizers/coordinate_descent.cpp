// Cyclic coordinate descent for f(x) + l1 |x|_1, within bounds.
//
//   for each i in turn: x_i <- argmin over z of f(x with x_i = z) + l1 |z|
//
// The one-dimensional minimum by safeguarded Newton steps on exact first and second derivatives
// along the coordinate, z <- shrink(z - f_i / f_ii, l1 / f_ii), halved until the value falls; of a
// quadratic function the first step is the answer. Tseng 2001; Wright 2015, "Coordinate descent
// algorithms". An iteration is one round over all coordinates. Default: at most 20 steps each.
#include <algorithm>

#include "descent/optim/l1.h"

namespace descent::optim {
namespace {

class Round {
 public:
  Round(Run& run, double l1) : run_(run), l1_(l1), x_(run.x), e_(Vector::Zero(x_.size())) {}

  const Vector& go() {
    x_ = run_.x;
    for (Eigen::Index i = 0; i < x_.size(); ++i) {
      e_[i] = 1;
      minimise(i);
      e_[i] = 0;
    }
    return x_;
  }

 private:
  double total(const Evaluator::Along& a, Eigen::Index i) const {
    return a.value + l1_ * std::abs(x_[i]);
  }
  double towards(Eigen::Index i, const Evaluator::Along& a) const {
    // Where the function does not curve upwards: a step of the curvature's size, downhill.
    const double h = std::max(std::abs(a.curvature), 1e-12 * (1 + std::abs(a.slope)));
    return std::clamp(shrink(x_[i] - a.slope / h, l1_ / h), run_.lower(i), run_.upper(i));
  }
  void minimise(Eigen::Index i) {
    auto here = run_.f.along(x_, e_);
    for (int k = 0; k < 20; ++k) {
      const double from = x_[i], value = total(here, i);
      // Near the minimum values differ by rounding only; Newton's step is then right without them.
      const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(value);
      double to = towards(i, here);
      bool moved = false;
      for (int halvings = 0; halvings < 50 && to != from; ++halvings) {
        x_[i] = to;
        const auto there = run_.f.along(x_, e_);
        if (std::isfinite(there.slope) && std::isfinite(there.curvature) &&
            total(there, i) <= value + noise) {
          here = there;
          moved = true;
          break;
        }
        to = from + 0.5 * (to - from);
      }
      if (!moved) x_[i] = from;
      if (!moved || std::abs(x_[i] - from) <= 1e-12 * (1 + std::abs(x_[i]))) return;
    }
  }

  Run& run_;
  double l1_;
  Vector x_, e_;
};

}  // namespace

void register_coordinate_descent(MinimizerRegistry& registry) {
  add_minimizer(registry,
                {.name = "coordinate_descent",
                 .help = "cyclic coordinate descent with exact one-dimensional minima and an L1 "
                         "penalty (Wright 2015)",
                 .options = {l1_option()},
                 .method = [](const Options& o) -> Method {
                   return [l1 = o.number("l1")](Run& run) {
                     if (l1 > 0) penalise(run, l1);
                     Round round(run, l1);
                     while (run.goes_on()) {
                       const Vector& to = round.go();
                       if (to == run.x) {
                         run.stuck("no further decrease");
                       } else {
                         run.move_to(to);
                       }
                     }
                   };
                 },
                 .bounds = Bounds::kept});
}

}  // namespace descent::optim
