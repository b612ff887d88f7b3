// OWL-QN: L-BFGS for f(x) + l1 |x|_1.
//
//   p: the pseudo-gradient;  d = -H p, H from the gradients of f alone; d_i = 0 where d_i p_i >= 0
//   orthant: sign(x_i), or sign(-p_i) where x_i = 0;  x(t) = x + t d, 0 where it leaves the orthant
//   the largest t of 1, 1/2, ... with F(x(t)) <= F(x) + 1e-4 p'(x(t) - x)
//
// Andrew & Gao 2007, "Scalable training of L1-regularized log-linear models". Defaults: history 10,
// first step min(1, 1 / |p|).
#include <algorithm>

#include "descent/optim/l1.h"
#include "descent/optim/lbfgs_memory.h"

namespace descent::optim {
namespace {

class Orthant {
 public:
  Orthant(Run& run, double l1, std::int64_t history)
      : run_(run), l1_(l1), memory_(run.x.size(), history), d_(run.x.size()), g_(run.x.size()) {}

  void run() {
    while (run_.goes_on()) {
      const Vector p = pseudo_gradient(run_.x, run_.gradient, l1_);
      memory_.direction(p, d_);
      for (Eigen::Index i = 0; i < d_.size(); ++i) {
        if (d_[i] * p[i] >= 0) d_[i] = 0;
      }
      const double first = memory_.empty() ? std::min(1.0, 1 / p.norm()) : 1.0;
      if (search(p, first)) continue;
      if (memory_.empty()) {
        run_.stuck("no further decrease");
      } else {
        memory_.clear();
      }
    }
  }

 private:
  double signed_zero_step(double x, double p, double to) const {
    const double side = x != 0 ? x : -p;
    return to * side > 0 ? to : 0;
  }
  bool search(const Vector& p, double first) {
    const double total = run_.total();
    const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(total);
    double t = first;
    for (int i = 0; i < 60; ++i, t *= 0.5) {
      Vector to = run_.x + t * d_;
      for (Eigen::Index k = 0; k < to.size(); ++k) to[k] = signed_zero_step(run_.x[k], p[k], to[k]);
      const Vector s = to - run_.x;
      if (s.isZero(0)) return false;
      const double v = run_.f.value_and_gradient(to, g_);
      if (!run_.finite(v, g_)) continue;
      const double slope = p.dot(s);
      const double there = v + run_.penalty(to);
      // Where values cannot tell any more, the pseudo-gradient must shrink.
      const bool level =
          there <= total + noise && pseudo_gradient(to, g_, l1_).norm() < 0.9 * p.norm();
      if (there > total + 1e-4 * slope && !level) continue;
      memory_.add(s, g_ - run_.gradient);
      run_.accept(to, v, g_);
      return true;
    }
    return false;
  }

  Run& run_;
  double l1_;
  LbfgsMemory memory_;
  Vector d_, g_;
};

}  // namespace

void register_owlqn(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "owlqn",
       .help = "L-BFGS with an L1 penalty (Andrew & Gao 2007)",
       .options = {l1_option(),
                   integer_option("history", 10, "pairs of steps and gradient changes kept")},
       .method = [](const Options& o) -> Method {
         return [l1 = o.number("l1"), history = o.integer("history")](Run& run) {
           penalise(run, l1);
           Orthant(run, l1, history).run();
         };
       }});
}

}  // namespace descent::optim
