// Newton's method with its system solved by conjugate gradients (truncated Newton).
//
//   H d = -g by CG until |r| <= min(1/2, sqrt |g|) |g| or a direction of negative curvature: then
//   what has been found so far is taken, the gradient where nothing has; x <- x + t d, t from 1 on
//
// Dembo & Steihaug 1983; Nocedal & Wright 2006, algorithm 7.1. Hessian-vector products are exact.
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

void direction(Run& run, Vector& d) {
  const auto n = run.x.size();
  const Vector& g = run.gradient;
  const double enough = std::min(0.5, std::sqrt(g.norm())) * g.norm();
  Vector r = g, p = -g, hp(n);
  d.setZero();
  double rr = r.squaredNorm();
  for (Eigen::Index i = 0; i < 2 * n + 10; ++i) {
    run.f.hessian_times(run.x, p, hp);
    const double curvature = p.dot(hp);
    if (!(curvature > 0) || !hp.allFinite()) {
      if (i == 0) d = -g;
      return;
    }
    const double alpha = rr / curvature;
    d += alpha * p;
    r += alpha * hp;
    const double next = r.squaredNorm();
    if (std::sqrt(next) <= enough) return;
    p = -r + next / rr * p;
    rr = next;
  }
}

void newton_cg(Run& run, const LineSearch& search) {
  Vector d(run.x.size());
  Line line(run, d);
  while (run.goes_on()) {
    direction(run, d);
    if (!line.go(search, 1)) {
      d = -run.gradient;
      if (!line.go(search, std::min(1.0, 1 / run.gradient.norm())))
        run.stuck("no further decrease");
    }
  }
}

}  // namespace

void register_newton_cg(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "newton_cg",
       .help = "Newton's method, its system solved by conjugate gradients with exact "
               "Hessian-vector products (Nocedal & Wright 2006, algorithm 7.1)",
       .options = {choice_option("line_search", "wolfe", "how the length of each step is found",
                                 line_search_names())},
       .method = [](const Options& o) -> Method {
         return [search = line_search(o.text("line_search"))](Run& run) { newton_cg(run, search); };
       },
       .iterations = 5000});
}

}  // namespace descent::optim
