// Trust region with Steihaug's conjugate gradients.
//
//   p: about the minimum of m(p) = f + g'p + p'Hp / 2 in |p| <= radius, by CG that stops at the
//   edge or along negative curvature; ratio = (f(x) - f(x + p)) / (m(0) - m(p)) ratio > eta: x <- x
//   + p;  ratio < 1/4: radius / 4;  ratio > 3/4 at the edge: radius * 2
//
// Steihaug 1983; Nocedal & Wright 2006, algorithms 4.1 and 7.2. Products with the Hessian are
// exact. Defaults: radius 1, at most 1e10, eta 1e-4. Where both changes are rounding, the ratio
// counts as 1 (Conn, Gould & Toint 2000, 17.4.2). A rejected step is an iteration of length 0.
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

struct Settings {
  double radius = 1, longest = 1e10, eta = 1e-4;
};

struct Step {
  Vector p, hp;  // the step, and H p
  bool edge = false;
};

// z + tau d with |z + tau d| = radius, tau > 0.
double to_edge(const Vector& z, const Vector& d, double radius) {
  const double dd = d.squaredNorm(), zd = z.dot(d);
  const double c = radius * radius - z.squaredNorm();
  return (std::sqrt(zd * zd + dd * std::max(c, 0.0)) - zd) / dd;
}

Step steihaug(Run& run, double radius) {
  const auto n = run.x.size();
  const Vector& g = run.gradient;
  const double enough = std::min(0.5, std::sqrt(g.norm())) * g.norm();
  Step s{.p = Vector::Zero(n), .hp = Vector::Zero(n)};
  Vector r = g, d = -g, hd(n);
  double rr = r.squaredNorm();
  for (Eigen::Index i = 0; i < 2 * n + 10; ++i) {
    run.f.hessian_times(run.x, d, hd);
    const double curvature = d.dot(hd);
    const double alpha = rr / curvature;
    if (!(curvature > 0) || (s.p + alpha * d).norm() >= radius) {
      const double tau = to_edge(s.p, d, radius);
      s.p += tau * d;
      s.hp += tau * hd;
      s.edge = true;
      return s;
    }
    s.p += alpha * d;
    s.hp += alpha * hd;
    r += alpha * hd;
    const double next = r.squaredNorm();
    if (std::sqrt(next) <= enough) return s;
    d = -r + next / rr * d;
    rr = next;
  }
  return s;
}

void trust_region(Run& run, const Settings& o) {
  double radius = o.radius;
  Vector g(run.x.size());
  while (run.goes_on()) {
    const auto s = steihaug(run, radius);
    if (!s.p.allFinite() || run.x + s.p == run.x) {
      run.stuck("no further decrease");
      break;
    }
    const double predicted = -(run.gradient.dot(s.p) + 0.5 * s.p.dot(s.hp));
    const double v = run.f.value_and_gradient(run.x + s.p, g);
    const bool finite = run.finite(v, g);
    const double noise = 10 * std::numeric_limits<double>::epsilon() * std::abs(run.value);
    double ratio = -1;
    if (finite) {
      const double actual = run.value - v;
      ratio = predicted <= noise && std::abs(actual) <= noise ? 1 : actual / predicted;
    }
    const double length = s.p.norm();
    if (ratio < 0.25) {
      radius = 0.25 * length;
    } else if (ratio > 0.75 && s.edge) {
      radius = std::min(2 * radius, o.longest);
    }
    if (ratio > o.eta) {
      run.accept(run.x + s.p, v, g);
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
                                 0.25)},
       .method = [](const Options& o) -> Method {
         const Settings settings{.radius = o.number("radius"),
                                 .longest = o.number("max_radius"),
                                 .eta = o.number("eta")};
         require_positive("trust_region", "radius", settings.radius);
         return [settings](Run& run) { trust_region(run, settings); };
       },
       .iterations = 5000});
}

}  // namespace descent::optim
