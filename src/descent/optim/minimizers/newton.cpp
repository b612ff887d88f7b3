// Newton's method with a modified Hessian and a line search.
//
//   d = -B^-1 g,  x <- x + t d, t from 1 on
//   eigenvalue: B = Q max(|e|, delta) Q' of the Hessian H = Q e Q', delta = 1e-8 of the largest |e|
//   cholesky:   B = H + tau I, tau = 0 or the smallest of a doubling sequence from beta on for
//   which
//               the factorisation exists, beta = 1e-3 |H|
//
// Nocedal & Wright 2006, section 3.4 (eigenvalue modification; algorithm 3.3). The Hessian is
// exact: one product of second derivatives for each variable.
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

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

void newton(Run& run, bool eigenvalues, const LineSearch& search) {
  Vector d(run.x.size());
  Line line(run, d);
  while (run.goes_on()) {
    const Matrix h = run.f.hessian(run.x);
    const bool usable = h.allFinite() && (eigenvalues ? by_eigenvalues(h, run.gradient, d)
                                                      : by_shift(h, run.gradient, d));
    if (!usable) d = -run.gradient;
    if (!line.go(search, 1)) run.stuck("no further decrease");
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
                   choice_option("line_search", "armijo", "how the length of each step is found",
                                 line_search_names())},
       .method = [](const Options& o) -> Method {
         return [eigenvalues = o.text("modification") == "eigenvalue",
                 search = line_search(o.text("line_search"))](Run& run) {
           newton(run, eigenvalues, search);
         };
       },
       .iterations = 2000});
}

}  // namespace descent::optim
