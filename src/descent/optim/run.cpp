#include "descent/optim/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/kernels/blas1.h"

namespace descent::optim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_bounds(const Objective& o) {
  for (const auto* side : {&o.lower, &o.upper}) {
    if (side->empty() || std::ssize(*side) == o.size) continue;
    throw Error(ErrorKind::usage,
                fmt::format("{} {} bounds were given for {} variables", side->size(),
                            side == &o.lower ? "lower" : "upper", o.size),
                "minimize", "give one for each variable, -inf or inf where there is none");
  }
  for (std::size_t i = 0; i < std::min(o.lower.size(), o.upper.size()); ++i) {
    if (o.lower[i] <= o.upper[i]) continue;
    throw Error(ErrorKind::usage,
                fmt::format("the lower bound {:g} of variable {} is above its upper bound {:g}",
                            o.lower[i], i, o.upper[i]),
                "minimize");
  }
}

std::shared_ptr<Evaluator> evaluator_of(const Objective& objective) {
  auto evaluator =
      objective.evaluator ? objective.evaluator : std::make_shared<Evaluator>(objective);
  evaluator->reset_counts();
  return evaluator;
}

Vector vector_of(const std::vector<double>& start, const Objective& objective) {
  if (std::ssize(start) != objective.size) {
    throw Error(
        ErrorKind::usage,
        fmt::format("the start has {} numbers for {} variables", start.size(), objective.size),
        "minimize");
  }
  return Vector::Map(start.data(), objective.size);
}

}  // namespace

double dot(const Vector& a, const Vector& b) { return kernels::dot(a.data(), b.data(), a.size()); }
bool all_finite(const Vector& v) {
  // Squares may overflow where the numbers do not.
  return std::isfinite(dot(v, v)) || v.allFinite();
}

Run::Run(const Objective& given, const std::vector<double>& start, const MinimizeOptions& options,
         std::int64_t default_iterations)
    : evaluator_(evaluator_of(given)),
      f(*evaluator_),
      objective(given),
      x(vector_of(start, given)),
      gradient(given.size),
      options_(options) {
  check_bounds(objective);
  most_ = options_.steps > 0            ? options_.steps
          : options_.max_iterations > 0 ? options_.max_iterations
                                        : default_iterations;
  x = inside(x);
  value = f.value_and_gradient(x, gradient);
  require_finite_start();
  if (options_.check_gradient) check_gradient(f, x);
}

void Run::require_finite_start() const {
  if (finite(value, gradient)) return;
  const auto place = "the start x = " + to_string(x);
  if (!std::isfinite(value)) {
    throw Error(ErrorKind::usage, fmt::format("the value is {} at the start", value), place,
                "start where the function is finite");
  }
  Eigen::Index i = 0;
  while (std::isfinite(gradient[i])) ++i;
  throw Error(ErrorKind::usage,
              fmt::format("component {} of the gradient is {} at the start", i, gradient[i]), place,
              "start where the function can be differentiated");
}

double Run::lower(Eigen::Index i) const {
  return objective.lower.empty() ? -kInfinity : objective.lower[static_cast<std::size_t>(i)];
}
double Run::upper(Eigen::Index i) const {
  return objective.upper.empty() ? kInfinity : objective.upper[static_cast<std::size_t>(i)];
}

Vector Run::inside(Vector at) const {
  if (!has_bounds()) return at;
  for (Eigen::Index i = 0; i < at.size(); ++i) at[i] = std::clamp(at[i], lower(i), upper(i));
  return at;
}

void Run::measure() {
  if (stationarity) {
    norm_ = stationarity(x, gradient);
  } else if (has_bounds()) {
    norm_ = (inside(x - gradient) - x).norm();
  } else {
    norm_ = std::sqrt(dot(gradient, gradient));
  }
}

void Run::tell(double step) {
  if (!options_.watch) return;
  options_.watch({.iteration = iteration_,
                  .evaluations = f.evaluations(),
                  .value = total(),
                  .gradient_norm = norm_,
                  .step = step,
                  .x = {x.data(), static_cast<std::size_t>(x.size())}});
}

void Run::check_end() {
  if (over_) return;
  if (options_.steps == 0 && norm_ <= options_.tolerance) {
    over_ = converged_ = true;
    reason_ = fmt::format("gradient norm {:.2g} <= {:g}", norm_, options_.tolerance);
  } else if (iteration_ >= most_) {
    over_ = true;
    reason_ = fmt::format("{} iterations", iteration_);
  }
}

bool Run::goes_on() {
  if (!begun_) {
    begun_ = true;
    measure();
    tell(0);
    check_end();
  }
  return !over_;
}

void Run::move_to(const Vector& to) {
  Vector g(x.size());
  const double v = f.value_and_gradient(to, g);
  accept(to, v, g);
}

void Run::accept(const Vector& to, double value_there, const Vector& gradient_there) {
  if (!finite(value_there, gradient_there)) {
    return diverged(fmt::format("the {} is not finite at {}",
                                std::isfinite(value_there) ? "gradient" : "value", to_string(to)));
  }
  const double step = options_.watch ? (to - x).norm() : 0;
  x = to;
  value = value_there;
  gradient = gradient_there;
  ++iteration_;
  measure();
  tell(step);
  check_end();
}

void Run::restart_at(const Vector& to) {
  x = to;
  value = f.value_and_gradient(x, gradient);
  require_finite_start();
}

void Run::accept_value(const Vector& to, double value_there) {
  const double step = options_.watch ? (to - x).norm() : 0;
  x = to;
  value = value_there;
  norm_ = std::numeric_limits<double>::quiet_NaN();
  ++iteration_;
  tell(step);
  check_end();
}

void Run::stuck(const std::string& why, bool converged) {
  while (options_.steps > 0 && iteration_ < most_) {
    ++iteration_;
    tell(0);
  }
  over_ = true;
  converged_ = converged;
  reason_ = why;
}

void Run::diverged(const std::string& why) {
  over_ = true;
  converged_ = false;
  reason_ = fmt::format("diverged: in iteration {} {}", iteration_ + 1, why);
}

Minimum Run::finish() {
  if (std::isnan(norm_)) {
    gradient = f.differentiated(x);
    measure();
  }
  Minimum found;
  found.x.assign(x.begin(), x.end());
  found.value = total();
  found.gradient_norm = norm_;
  found.iterations = iteration_;
  found.evaluations = f.evaluations();
  found.converged = converged_;
  found.reason = reason_;
  bool bound = on_boundary && on_boundary(x);
  for (Eigen::Index i = 0; has_bounds() && i < x.size(); ++i)
    bound = bound || x[i] <= lower(i) || x[i] >= upper(i);
  auto [kind, eigenvalues] = classify(f, x, gradient, options_.tolerance);
  const bool stationary = norm_ <= std::max(options_.tolerance, 1e-5 * (1 + std::abs(value)));
  found.kind = bound ? (stationary ? "boundary" : "unknown") : penalty ? "unknown" : kind;
  found.eigenvalues = std::move(eigenvalues);
  return found;
}

}  // namespace descent::optim
