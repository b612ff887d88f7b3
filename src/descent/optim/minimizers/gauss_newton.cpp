// Gauss-Newton: the step p that minimises |r + J p|, by QR with pivoting on J with its columns
// scaled to length 1 (the shortest such step where columns depend on each other), halved until
// the sum of squares falls enough (Armijo):
//
//   |r(x + t p)|^2 <= |r|^2 + 2 decrease t r^T J p
//
// Fast where the start is good or the residuals are small; levenberg_marquardt comes from further
// away. Nocedal & Wright, "Numerical Optimization" (2006), section 10.3.
#include <fmt/format.h>

#include <cmath>

#include "descent/optim/least_squares.h"
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

void gauss_newton(Run& run, double decrease, double step_tolerance) {
  LeastSquares f(run.objective);
  Vector r, next;
  Matrix j;
  Vector scale = Vector::Zero(run.x.size());
  f.residuals_and_jacobian(run.x, r, j);
  double sum = r.squaredNorm();
  const double start_sum = sum;
  while (run.goes_on()) {
    scale.setZero();
    const auto s = scaled_jacobian(run, j, scale);
    const Vector q = shortest_solution(s.j, r);
    const double size = scale.cwiseProduct(run.x).norm();
    if (step_tolerance > 0 && run.options().steps == 0 && q.norm() <= step_tolerance * size) {
      return run.stuck(fmt::format("relative step {:.3g} <= {:g}", q.norm() / size, step_tolerance),
                       true);
    }
    Vector p = Vector::Zero(run.x.size());
    for (Eigen::Index k = 0; k < q.size(); ++k)
      p[s.free[static_cast<std::size_t>(k)]] = q[k] / s.scale[k];
    Vector to;
    double t = 1, there = 0;
    bool lower = false;
    for (; !lower && t > 1e-15; t /= 2) {
      to = run.inside(run.x + t * p);
      if (to == run.x) break;
      f.residuals(to, next);
      run.f.count_evaluation();
      there = next.squaredNorm();
      const double slope = r.dot(j * (to - run.x));
      lower = there <= sum + 2 * decrease * slope && there < sum && slope < 0;
    }
    if (!lower) return finish_by_shrinking_steps(run, f, start_sum);
    f.residuals_and_jacobian(to, r, j);
    sum = there;
    run.accept(to, there, 2 * (j.transpose() * r));
  }
}

}  // namespace

void register_gauss_newton(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "gauss_newton",
       .help = "Gauss-Newton for sums of squares, with Armijo backtracking (Nocedal & Wright 2006)",
       .options = {number_option("decrease", 1e-4,
                                 "part of the fall foretold by the slope that a step must keep", 0,
                                 1),
                   number_option("step_tolerance", 0,
                                 "converged where the full step is at most this part of the "
                                 "parameters; 0: as far as rounding lets it come")},
       .method =
           [](const Options& o) {
             return [decrease = o.number("decrease"), tolerance = o.number("step_tolerance")](
                        Run& run) { gauss_newton(run, decrease, tolerance); };
           },
       .iterations = 1000,
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
