// BFGS.
//
//   d = -H g, x <- x + t d, t by strong Wolfe; with s = x' - x, y = g' - g, rho = 1 / s'y:
//   H <- (I - rho s y') H (I - rho y s') + rho s s'
//
// Broyden, Fletcher, Goldfarb & Shanno 1970; Nocedal & Wright 2006, algorithm 6.1. H begins as the
// identity and is scaled by s'y / y'y before the first update (their 6.20). The update is left out
// where s'y <= eps y'y; where no step helps, H is the identity again once.
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

void update(Matrix& h, const Vector& s, const Vector& y, bool first) {
  const double sy = s.dot(y), yy = y.squaredNorm();
  if (!(sy > std::numeric_limits<double>::epsilon() * yy)) return;
  if (first) h.diagonal().setConstant(sy / yy);
  const Vector hy = h * y;
  const double factor = (1 + y.dot(hy) / sy) / sy;
  // Column by column, each entry from the same products as its mirror: symmetric to the last bit.
  for (Eigen::Index j = 0; j < h.cols(); ++j) {
    for (Eigen::Index i = 0; i < h.rows(); ++i)
      h(i, j) += factor * (s[i] * s[j]) - (hy[i] * s[j] + s[i] * hy[j]) / sy;
  }
}

void bfgs(Run& run, const LineSearch& search, const LineSearchOptions& options) {
  const auto n = run.x.size();
  Matrix h = Matrix::Identity(n, n);
  Vector d(n);
  Line line(run, d);
  bool fresh = true;
  while (run.goes_on()) {
    d = -(h * run.gradient);
    const double first = fresh ? std::min(1.0, 1 / run.gradient.norm()) : 1.0;
    if (line.go(search, first, options)) {
      update(h, line.s(), line.y(), fresh);
      fresh = false;
    } else if (fresh) {
      run.stuck("no further decrease");
    } else {
      h.setIdentity();
      fresh = true;
    }
  }
}

}  // namespace

void register_bfgs(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "bfgs",
       .help = "BFGS with a dense inverse Hessian (Nocedal & Wright 2006, algorithm 6.1)",
       .options = {choice_option("line_search", "wolfe", "how the length of each step is found",
                                 line_search_names()),
                   number_option("c1", 1e-4, "decrease that a step must bring (Armijo)", 0, 0.5),
                   number_option("c2", 0.9, "part of the slope that may be left (Wolfe)", 0, 1)},
       .method = [](const Options& o) -> Method {
         return [search = line_search(o.text("line_search")), c1 = o.number("c1"),
                 c2 = o.number("c2")](Run& run) {
           bfgs(run, search, {.decrease = c1, .curvature = c2});
         };
       }});
}

}  // namespace descent::optim
