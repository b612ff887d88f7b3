// Newton's method with a modified Hessian and a line search.
//
//   d = -B^-1 g,  x <- x + t d, t from 1 on
//   eigenvalue: B = Q max(|e|, delta) Q' of the Hessian H = Q e Q', delta = 1e-8 of the largest |e|
//   cholesky:   B = H + tau I, tau = 0 or the smallest of a doubling sequence from beta on for
//               which the factorisation exists, beta = 1e-3 |H|
//
// By default in variables that are scaled by the curvature along them (optim/scaling.h): H, g and d
// are S^-1 H S^-1, S^-1 g and S d. A step with B = H is the same; but what is added to H, and what
// counts as no curvature, does not depend on the variables' units.
//
// Nocedal & Wright 2006, section 3.4 (eigenvalue modification; algorithm 3.3). The Hessian is
// exact: one product of second derivatives for each variable.
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"
#include "descent/optim/scaling.h"

namespace descent::optim {
namespace {

bool by_eigenvalues(const Matrix& h, const Vector& g, Vector& d) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(h);
  if (solver.info() != Eigen::Success) return false;
  const Vector size = solver.eigenvalues().cwiseAbs();
  const double floor = std::max(1e-8 * size.maxCoeff(), 1e-300);
  const auto& q = solver.eigenvectors();
  d = -(q * (q.transpose() * g).cwiseQuotient(size.cwiseMax(floor)));
  return d.allFinite();
}

bool by_shift(const Matrix& h, const Vector& g, Vector& d) {
  const double beta = 1e-3 * h.norm();
  double tau = h.diagonal().minCoeff() > 0 ? 0 : beta - h.diagonal().minCoeff();
  for (int i = 0; i < 100; ++i) {
    Matrix shifted = h;
    shifted.diagonal().array() += tau;
    const Eigen::LLT<Matrix> factor(shifted);
    if (factor.info() == Eigen::Success) {
      d = -factor.solve(g);
      return d.allFinite();
    }
    tau = std::max(2 * tau, beta);
  }
  return false;
}

struct Settings {
  bool eigenvalues = true, scaling = true;
  LineSearch search;
};

void newton(Run& run, const Settings& o) {
  Vector d(run.x.size());
  Line line(run, d);
  while (run.goes_on()) {
    const Matrix h = run.f.hessian(run.x);
    bool usable = h.allFinite();
    if (usable) {
      const Vector s = o.scaling ? curvature_scales(h) : Vector::Ones(h.rows());
      const Vector g = run.gradient.cwiseQuotient(s);
      usable = o.eigenvalues ? by_eigenvalues(scaled(h, s), g, d) : by_shift(scaled(h, s), g, d);
      d = d.cwiseQuotient(s);
    }
    if (!usable || !d.allFinite()) d = -run.gradient;
    if (!line.go(o.search, 1)) run.stuck("no further decrease");
  }
}

}  // namespace

void register_newton(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "newton",
       .help = "Newton's method with a modified Hessian (Nocedal & Wright 2006, 3.4)",
       .options = {choice_option("modification", "eigenvalue",
                                 "how an indefinite Hessian is made definite",
                                 {"eigenvalue", "cholesky"}),
                   {.key = "scaling",
                    .type = OptionType::boolean,
                    .fallback = true,
                    .help = "scale the variables by the curvature along them"},
                   choice_option("line_search", "armijo", "how the length of each step is found",
                                 line_search_names())},
       .method = [](const Options& o) -> Method {
         const Settings settings{.eigenvalues = o.text("modification") == "eigenvalue",
                                 .scaling = o.boolean("scaling"),
                                 .search = line_search(o.text("line_search"))};
         return [settings](Run& run) { newton(run, settings); };
       },
       .iterations = 2000});
}

}  // namespace descent::optim
