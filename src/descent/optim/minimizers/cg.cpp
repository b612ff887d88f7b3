// Nonlinear conjugate gradient.
//
//   d <- -g' + beta d,  x <- x + t d,  with y = g' - g:
//   fletcher-reeves:   beta = g'.g' / g.g
//   polak-ribiere+:    beta = max(0, g'.y / g.g)
//   hager-zhang:       beta = max(eta, (y - 2 d y.y / d.y).g' / d.y),
//                      eta = -1 / (|d| min(0.01, |g|))
//
// Fletcher & Reeves 1964; Polak & Ribiere 1969, Powell 1984; Hager & Zhang 2005 (CG_DESCENT), whose
// line search is then the default. Nocedal & Wright 2006, section 5.2. Where d would not lead down,
// or after Powell's test |g'.g| >= 0.2 |g'|^2 (Fletcher-Reeves only, which jams without), it begins
// anew with -g. First step of a search: what would bring the last decrease again, as of a parabola.
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

enum class Formula { fletcher_reeves, polak_ribiere, hager_zhang };

struct Settings {
  Formula formula = Formula::hager_zhang;
  LineSearch search;
  LineSearchOptions line;
};

double beta_of(Formula formula, const Vector& d, const Vector& before, const Vector& g,
               const Vector& y) {
  if (formula == Formula::fletcher_reeves) {
    if (std::abs(g.dot(before)) >= 0.2 * g.squaredNorm()) return 0;
    return g.squaredNorm() / before.squaredNorm();
  }
  if (formula == Formula::polak_ribiere) return std::max(0.0, g.dot(y) / before.squaredNorm());
  const double dy = d.dot(y);
  const double eta = -1 / (d.norm() * std::min(0.01, before.norm()));
  return std::max(eta, (y.dot(g) - 2 * d.dot(g) * y.squaredNorm() / dy) / dy);
}

void cg(Run& run, const Settings& o) {
  Vector d = -run.gradient, before;
  Line line(run, d);
  double first = std::min(1.0, 1 / run.gradient.norm());
  bool fresh = true;
  while (run.goes_on()) {
    before = run.gradient;
    const double value = run.value, slope = before.dot(d);
    if (!line.go(o.search, first, o.line)) {
      if (fresh) {
        run.stuck("no further decrease");
        break;
      }
      d = -run.gradient;
      first = std::min(1.0, 1 / run.gradient.norm());
      fresh = true;
      continue;
    }
    const double beta = beta_of(o.formula, d, before, run.gradient, line.y());
    fresh = !std::isfinite(beta) || beta == 0;
    d = fresh ? Vector(-run.gradient) : Vector(-run.gradient + beta * d);
    double next = run.gradient.dot(d);
    if (!(next < 0)) {
      d = -run.gradient;
      next = -run.gradient.squaredNorm();
      fresh = true;
    }
    // Nocedal & Wright (3.60), or where values no longer tell, the same first-order change.
    const double gained = 2 * (run.value - value) / next;
    first = gained > 0 ? 1.01 * gained : line.step() * slope / next;
  }
}

}  // namespace

void register_cg(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "cg",
       .help = "nonlinear conjugate gradient (Nocedal & Wright 2006, 5.2; Hager & Zhang 2005)",
       .options = {choice_option("formula", "hager-zhang", "how much of the last direction is kept",
                                 {"fletcher-reeves", "polak-ribiere+", "hager-zhang"}),
                   choice_option("line_search", "default",
                                 "how the length of a step is found; default: hager_zhang for that "
                                 "formula, else wolfe",
                                 {"default", "armijo", "wolfe", "hager_zhang"}),
                   number_option("c1", 1e-4, "decrease that a step must bring (Armijo)", 0, 0.5),
                   number_option("c2", 0.1, "part of the slope that may be left (Wolfe)", 0, 1)},
       .method = [](const Options& o) -> Method {
         const auto& formula = o.text("formula");
         const bool hz = formula == "hager-zhang";
         auto search = o.text("line_search");
         if (search == "default") search = hz ? "hager_zhang" : "wolfe";
         const Settings settings{
             .formula = hz ? Formula::hager_zhang
                           : (formula == "fletcher-reeves" ? Formula::fletcher_reeves
                                                           : Formula::polak_ribiere),
             .search = line_search(search),
             .line = {.decrease = o.number("c1"), .curvature = o.number("c2")}};
         return [settings](Run& run) { cg(run, settings); };
       },
       .iterations = 20'000});
}

}  // namespace descent::optim
