// Projected gradient.
//
//   fixed:     x <- P(x - lr g)
//   spectral:  d = P(x - a g) - x,  x <- x + t d, a of Barzilai and Borwein, t by backtracking with
//              f(x') <= max of the last 10 values + 1e-4 t g'd
//
// Goldstein 1964, Levitin & Polyak 1966; the spectral form is SPG2 of Birgin, Martinez & Raydan
// 2000, "Nonmonotone spectral projected gradient methods on convex sets".
#include "descent/optim/constraint.h"
#include "descent/optim/line_search.h"
#include "descent/optim/nonmonotone.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

bool step(Run& run, const Constraint& set, double& a, const Reference& reference) {
  const Vector d = set.project(run, run.x - a * run.gradient) - run.x;
  const double slope = run.gradient.dot(d);
  if (!(slope < 0)) return false;
  Vector g(d.size());
  const double most = reference.value();
  const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(most);
  double t = 1;
  for (int i = 0; i < 60; ++i) {
    const Vector to = set.project(run, run.x + t * d);  // only rounding leaves the set
    const double v = run.f.value_and_gradient(to, g);
    const bool finite = run.finite(v, g);
    if (finite && v <= most + 1e-4 * t * slope + noise) {
      const Vector s = to - run.x, y = g - run.gradient;
      if (s.isZero(0)) return false;
      const double sy = s.dot(y);
      a = sy <= 0 ? 1e3 : std::clamp(s.squaredNorm() / sy, 1e-30, 1e30);
      run.accept(to, v, g);
      return true;
    }
    const LinePoint there{t, v, g.dot(d)};
    t *= finite ? std::clamp(interpolate({0, run.value, slope}, there) / t, 0.1, 0.5) : 0.1;
  }
  return false;
}

void spectral(Run& run, const Constraint& set, double lr) {
  Reference reference(10);
  reference.add(run.value);
  double a = lr > 0 ? lr : std::min(1.0, 1 / std::max(run.gradient.norm(), 1e-300));
  while (run.goes_on()) {
    if (!step(run, set, a, reference)) {
      run.stuck("no further decrease");
      break;
    }
    reference.add(run.value);
  }
}

}  // namespace

void register_projected_gradient(MinimizerRegistry& registry) {
  auto options = Constraint::options("box", {"box", "simplex", "ball", "l1_ball"});
  options.push_back(choice_option("step", "spectral", "how long steps are", {"spectral", "fixed"}));
  options.push_back(
      number_option("lr", 0, "length of a fixed step, or the first spectral one (0: found)"));
  add_minimizer(registry,
                {.name = "projected_gradient",
                 .help = "projected gradient on a box, a simplex or a ball, with spectral steps "
                         "(Birgin, Martinez & Raydan 2000)",
                 .options = std::move(options),
                 .method = [](const Options& o) -> Method {
                   const auto set = Constraint::from(o);
                   const double lr = o.number("lr");
                   const bool fixed = o.text("step") == "fixed";
                   if (fixed) require_positive("projected_gradient", "lr", lr);
                   return [set, lr, fixed](Run& run) {
                     set.enter(run);
                     if (!fixed) return spectral(run, set, lr);
                     while (run.goes_on()) run.move_to(set.project(run, run.x - lr * run.gradient));
                   };
                 },
                 .bounds = Bounds::kept});
}

}  // namespace descent::optim
