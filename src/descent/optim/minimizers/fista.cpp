// FISTA: accelerated proximal gradient for f(x) + l1 |x|_1.
//
//   x' = shrink(y - a g(y), a l1),  t' = (1 + sqrt(1 + 4 t^2)) / 2,  y' = x' + (t - 1) / t' (x' -
//   x)
//
// with a halved until f(x') <= f(y) + g(y)'(x' - y) + |x' - y|^2 / 2a. Beck & Teboulle 2009, "A
// fast iterative shrinkage-thresholding algorithm", with backtracking. t begins anew at 1 where the
// momentum points uphill, (y - x')'(x' - x) > 0 (O'Donoghue & Candes 2015), unless restart = false.
// First a: lr, 0: 1 / |g| at most 1, doubled while that holds. Two evaluations an iteration.
#include "descent/optim/l1.h"

namespace descent::optim {
namespace {

class Fista {
 public:
  Fista(Run& run, double l1, double lr, bool restart)
      : run_(run), l1_(l1), restart_(restart), y_(run.x), gy_(run.gradient), fy_(run.value) {
    a_ = lr > 0 ? lr : std::min(1.0, 1 / std::max(run.gradient.norm(), 1e-300));
    grow_ = lr <= 0;
  }

  void run() {
    Vector g(y_.size());
    while (run_.goes_on()) {
      const Vector before = run_.x;
      if (!step(g)) {
        run_.stuck("no further decrease");
        return;
      }
      const Vector& x = run_.x;
      if (restart_ && (y_ - x).dot(x - before) > 0) t_ = 1;
      const double t = 0.5 * (1 + std::sqrt(1 + 4 * t_ * t_));
      y_ = x + (t_ - 1) / t * (x - before);
      t_ = t;
      fy_ = run_.f.value_and_gradient(y_, gy_);
      if (!run_.finite(fy_, gy_)) {  // the momentum led out of the domain
        y_ = x;
        fy_ = run_.value;
        gy_ = run_.gradient;
        t_ = 1;
      }
    }
  }

 private:
  bool bounded(double v, const Vector& s) const {
    const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(fy_);
    return v <= fy_ + gy_.dot(s) + s.squaredNorm() / (2 * a_) + noise;
  }
  bool step(Vector& g) {
    for (int i = 0; i < 100; ++i) {
      Vector to = y_ - a_ * gy_;
      for (double& z : to) z = shrink(z, a_ * l1_);
      const Vector s = to - y_;
      const double v = run_.f.value_and_gradient(to, g);
      if (run_.finite(v, g) && bounded(v, s)) {
        if (grow_ && 4 * (v - fy_ - gy_.dot(s)) <= s.squaredNorm() / (2 * a_)) a_ *= 2;
        run_.accept(to, v, g);
        return true;
      }
      grow_ = false;
      a_ *= 0.5;
    }
    return false;
  }

  Run& run_;
  double l1_;
  bool restart_;
  Vector y_, gy_;
  double fy_ = 0, a_ = 1, t_ = 1;
  bool grow_ = true;
};

}  // namespace

void register_fista(MinimizerRegistry& registry) {
  add_minimizer(registry,
                {.name = "fista",
                 .help = "accelerated proximal gradient with an L1 penalty (Beck & Teboulle 2009)",
                 .options = {l1_option(),
                             number_option("lr", 0, "the first step; 0: found by doubling"),
                             {.key = "restart",
                              .type = OptionType::boolean,
                              .fallback = true,
                              .help = "drop the momentum where it points uphill"}},
                 .method = [](const Options& o) -> Method {
                   return [l1 = o.number("l1"), lr = o.number("lr"),
                           restart = o.boolean("restart")](Run& run) {
                     penalise(run, l1);
                     Fista(run, l1, lr, restart).run();
                   };
                 }});
}

}  // namespace descent::optim
