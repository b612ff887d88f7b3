// Trust region with Steihaug's conjugate gradients.
//
//   p: about the minimum of m(p) = f + g'p + p'Hp / 2 in |p| <= radius, by CG that stops at the
//   edge or along negative curvature; ratio = (f(x) - f(x + p)) / (m(0) - m(p))
//   ratio > eta: x <- x + p;  ratio < 1/4: radius / 4;  ratio > 3/4 at the edge: radius * 2
//
// With scaling the region is |S p| <= radius and CG runs in the variables S p, S from the curvature
// along each variable (optim/scaling.h): so a valley's width does not bound the way along it. The
// scales are divided by their geometric mean: regions with and without have the same volume. The
// Hessian's diagonal costs a product for each variable, so that "auto" scales few variables only.
//
// Steihaug 1983; Nocedal & Wright 2006, algorithms 4.1 and 7.2. Products with the Hessian are
// exact. Defaults: radius 1, at most 1e10, eta 1e-4. Where both changes are rounding, the ratio
// counts as 1 (Conn, Gould & Toint 2000, 17.4.2). A rejected step is an iteration of length 0.
#include "descent/optim/rule.h"
#include "descent/optim/run.h"
#include "descent/optim/scaling.h"

namespace descent::optim {
namespace {

constexpr Eigen::Index kFew = 50;  // variables that "auto" scales

struct Settings {
  double radius = 1, longest = 1e10, eta = 1e-4;
  std::string scaling = "auto";
};

struct Step {
  Vector p, hp;  // the step, and H p; in the scaled variables
  bool edge = false;
};

// z + tau d with |z + tau d| = radius, tau > 0.
double to_edge(const Vector& z, const Vector& d, double radius) {
  const double dd = d.squaredNorm(), zd = z.dot(d);
  const double c = radius * radius - z.squaredNorm();
  return (std::sqrt(zd * zd + dd * std::max(c, 0.0)) - zd) / dd;
}

// g, and the scales s of the variables.
Step steihaug(Run& run, const Vector& g, const Vector& s, double radius) {
  const auto n = g.size();
  const double enough = std::min(0.5, std::sqrt(g.norm())) * g.norm();
  Step step{.p = Vector::Zero(n), .hp = Vector::Zero(n)};
  Vector r = g, d = -g, hd(n);
  double rr = r.squaredNorm();
  for (Eigen::Index i = 0; i < 2 * n + 10; ++i) {
    run.f.hessian_times(run.x, d.cwiseQuotient(s), hd);
    hd = hd.cwiseQuotient(s);
    const double curvature = d.dot(hd);
    const double alpha = rr / curvature;
    if (!(curvature > 0) || (step.p + alpha * d).norm() >= radius) {
      const double tau = to_edge(step.p, d, radius);
      step.p += tau * d;
      step.hp += tau * hd;
      step.edge = true;
      return step;
    }
    step.p += alpha * d;
    step.hp += alpha * hd;
    r += alpha * hd;
    const double next = r.squaredNorm();
    if (std::sqrt(next) <= enough) return step;
    d = -r + next / rr * d;
    rr = next;
  }
  return step;
}

// The scales at the run's point, with a geometric mean of 1; those of before where the curvature is
// not finite.
void scale_anew(Run& run, Vector& s) {
  const Matrix h = run.f.hessian(run.x);
  if (!h.allFinite()) return;
  const Vector fresh = curvature_scales(h);
  const double mean = std::exp(fresh.array().log().mean());
  if (fresh.allFinite() && mean > 0 && std::isfinite(mean)) s = fresh / mean;
}

void trust_region(Run& run, const Settings& o) {
  const auto n = run.x.size();
  const bool scales = o.scaling == "on" || (o.scaling == "auto" && n > 1 && n <= kFew);
  double radius = o.radius;
  Vector s = Vector::Ones(n), g(n);
  bool moved = true;
  while (run.goes_on()) {
    if (scales && moved) scale_anew(run, s);
    const Vector scaled_gradient = run.gradient.cwiseQuotient(s);
    const auto step = steihaug(run, scaled_gradient, s, radius);
    const Vector p = step.p.cwiseQuotient(s);
    if (!p.allFinite() || run.x + p == run.x) {
      run.stuck("no further decrease");
      break;
    }
    const double predicted = -(scaled_gradient.dot(step.p) + 0.5 * step.p.dot(step.hp));
    const double v = run.f.value_and_gradient(run.x + p, g);
    const bool finite = run.finite(v, g);
    const double noise = 10 * std::numeric_limits<double>::epsilon() * std::abs(run.value);
    double ratio = -1;
    if (finite) {
      const double actual = run.value - v;
      ratio = predicted <= noise && std::abs(actual) <= noise ? 1 : actual / predicted;
    }
    if (ratio < 0.25) {
      radius = 0.25 * step.p.norm();
    } else if (ratio > 0.75 && step.edge) {
      radius = std::min(2 * radius, o.longest);
    }
    moved = ratio > o.eta;
    if (moved) {
      run.accept(run.x + p, v, g);
    } else {
      run.accept(run.x, run.value, run.gradient);
    }
  }
}

}  // namespace

void register_trust_region(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "trust_region",
       .help = "trust region with Steihaug's conjugate gradients on exact Hessian-vector products "
               "(Nocedal & Wright 2006, algorithms 4.1 and 7.2)",
       .options = {number_option("radius", 1, "of the first region"),
                   number_option("max_radius", 1e10, "of any region"),
                   number_option("eta", 1e-4, "part of the predicted decrease a step must bring", 0,
                                 0.25),
                   choice_option("scaling", "auto",
                                 "scale the variables by the curvature along them: as many more "
                                 "Hessian products an iteration as variables; auto: up to 50",
                                 {"auto", "on", "off"})},
       .method = [](const Options& o) -> Method {
         const Settings settings{.radius = o.number("radius"),
                                 .longest = o.number("max_radius"),
                                 .eta = o.number("eta"),
                                 .scaling = o.text("scaling")};
         require_positive("trust_region", "radius", settings.radius);
         return [settings](Run& run) { trust_region(run, settings); };
       },
       .iterations = 5000});
}

}  // namespace descent::optim
