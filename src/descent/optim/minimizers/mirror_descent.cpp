// Mirror descent with the entropy on the simplex: exponentiated gradient.
//
//   x_i <- x_i exp(-a g_i), scaled to the sum `radius`
//
// with a halved until f(x') <= f(x) + g'(x' - x) + KL(x', x) / a, and grown by 1.2 after each step
// (backtracking = false: a = lr throughout). Nemirovski & Yudin 1983; Kivinen & Warmuth 1997; Beck
// & Teboulle 2003, "Mirror descent and nonlinear projected subgradient methods". A coordinate of 0
// would stay 0, so the start's are raised to 1e-12. Tolerance: on the gap g'x - radius min g.
#include "descent/optim/constraint.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// KL(x, y) of vectors of one sum.
double divergence(const Vector& x, const Vector& y) {
  double sum = 0;
  for (Eigen::Index i = 0; i < x.size(); ++i)
    if (x[i] > 0) sum += x[i] * std::log(x[i] / y[i]);
  return sum;
}

Vector mirrored(const Vector& x, const Vector& g, double a, double radius) {
  Vector to = (-a * (g.array() - g.minCoeff())).exp() * x.array();
  return to * (radius / to.sum());
}

bool step(Run& run, double& a, double radius) {
  Vector g(run.x.size());
  for (int i = 0; i < 100; ++i, a *= 0.5) {
    const Vector to = mirrored(run.x, run.gradient, a, radius);
    const double v = run.f.value_and_gradient(to, g);
    if (!run.finite(v, g)) continue;
    const double bound = run.value + run.gradient.dot(to - run.x) + divergence(to, run.x) / a;
    if (v > bound + 8 * std::numeric_limits<double>::epsilon() * std::abs(run.value)) continue;
    if (to == run.x) return false;
    run.accept(to, v, g);
    a *= 1.2;
    return true;
  }
  return false;
}

}  // namespace

void register_mirror_descent(MinimizerRegistry& registry) {
  add_minimizer(registry, {.name = "mirror_descent",
                           .help = "exponentiated gradient on the simplex (Beck & Teboulle 2003)",
                           .options = {number_option("lr", 0.1, "the first step, or every step"),
                                       {.key = "backtracking",
                                        .type = OptionType::boolean,
                                        .fallback = true,
                                        .help = "fit the step to the function"},
                                       number_option("radius", 1, "the sum of x")},
                           .method = [](const Options& o) -> Method {
                             const Constraint simplex(Constraint::Set::simplex, o.number("radius"));
                             return [simplex, lr = o.number("lr"),
                                     backtracking = o.boolean("backtracking")](Run& run) {
                               simplex.enter(run);
                               const double radius = simplex.radius();
                               if (run.x.minCoeff() < 1e-12) {
                                 const Vector raised = run.x.cwiseMax(1e-12);
                                 run.restart_at(raised * (radius / raised.sum()));
                               }
                               run.stationarity = [radius](const Vector& x, const Vector& g) {
                                 return std::max(0.0, g.dot(x) - radius * g.minCoeff());
                               };
                               double a = lr;
                               while (run.goes_on()) {
                                 if (!backtracking) {
                                   run.move_to(mirrored(run.x, run.gradient, lr, radius));
                                 } else if (!step(run, a, radius)) {
                                   run.stuck("no further decrease");
                                 }
                               }
                             };
                           }});
}

}  // namespace descent::optim
