#include "descent/optim/constraint.h"

#include <algorithm>
#include <functional>

#include "descent/base/error.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Vector to_simplex(const Vector& x, double radius) {
  std::vector<double> sorted(x.begin(), x.end());
  std::ranges::sort(sorted, std::greater<>());
  double sum = 0, shift = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i];
    const double t = (sum - radius) / static_cast<double>(i + 1);
    if (sorted[i] > t) shift = t;
  }
  return (x.array() - shift).max(0.0);
}

}  // namespace

std::vector<Option> Constraint::options(const std::string& fallback,
                                        std::vector<std::string> choices) {
  return {
      choice_option("constraint", fallback,
                    "the set that x stays in; box: the bounds of the problem", std::move(choices)),
      number_option("radius", 1, "of the ball; on the simplex, the sum of x")};
}

Constraint Constraint::from(const Options& options) {
  const auto& name = options.text("constraint");
  const double radius = options.number("radius");
  require_positive("constraint", "radius", radius);
  return {name == "simplex"   ? Set::simplex
          : name == "ball"    ? Set::ball
          : name == "l1_ball" ? Set::l1_ball
                              : Set::box,
          radius};
}

Vector Constraint::project(const Run& run, Vector x) const {
  switch (set_) {
    case Set::box:
      return run.inside(std::move(x));
    case Set::simplex:
      return to_simplex(x, radius_);
    case Set::ball: {
      const double norm = x.norm();
      return norm <= radius_ ? x : Vector(x * (radius_ / norm));
    }
    default: {
      if (x.lpNorm<1>() <= radius_) return x;
      const Vector size = to_simplex(x.cwiseAbs(), radius_);
      return size.cwiseProduct(x.cwiseSign());
    }
  }
}

Vector Constraint::least(const Run& run, const Vector& g) const {
  Vector s = Vector::Zero(g.size());
  Eigen::Index i = 0;
  switch (set_) {
    case Set::box:
      for (i = 0; i < g.size(); ++i) {
        s[i] = g[i] > 0 ? run.lower(i) : run.upper(i);
        if (std::isfinite(s[i])) continue;
        throw Error(ErrorKind::usage, "the box is open: a variable has no finite bound",
                    "variable " + std::to_string(i), "set both bounds of every variable");
      }
      return s;
    case Set::simplex:
      g.minCoeff(&i);
      s[i] = radius_;
      return s;
    case Set::ball:
      return g.norm() > 0 ? Vector(g * (-radius_ / g.norm())) : s;
    default:
      g.cwiseAbs().maxCoeff(&i);
      s[i] = g[i] > 0 ? -radius_ : radius_;
      return s;
  }
}

bool Constraint::boundary(const Run& run, const Vector& x) const {
  switch (set_) {
    case Set::box:
      return (run.inside(x + Vector::Constant(x.size(), 1e-12)) - x).minCoeff() <= 0 ||
             (x - run.inside(x - Vector::Constant(x.size(), 1e-12))).minCoeff() <= 0;
    case Set::ball:
      return x.norm() >= radius_ * (1 - 1e-10);
    case Set::l1_ball:
      return x.lpNorm<1>() >= radius_ * (1 - 1e-10);
    default:
      return true;  // its sum is held everywhere
  }
}

void Constraint::enter(Run& run) const {
  const Vector to = project(run, run.x);
  run.stationarity = [this, &run](const Vector& x, const Vector& g) {
    return (project(run, x - g) - x).norm();
  };
  run.on_boundary = [this, &run](const Vector& x) { return boundary(run, x); };
  if (to != run.x) run.restart_at(to);
}

}  // namespace descent::optim
