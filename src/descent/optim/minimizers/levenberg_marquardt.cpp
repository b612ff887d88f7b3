// Levenberg-Marquardt: the step p that minimises |r + J p| among |D p| <= radius, which is
//
//   p = -(J^T J + damping D^2)^-1 J^T r      with damping >= 0 such that |D p| = radius (or 0)
//
// found from a QR factorisation of J D^-1 and of it with sqrt(damping) I below, never from J^T J,
// whose condition is squared. D holds the largest lengths that the columns of J have had, so that
// the units of the parameters do not matter. The radius shrinks to a quarter where the sum of
// squares falls by less than a quarter of what the linear model foretells, and doubles where it
// falls by more than three quarters. More, "The Levenberg-Marquardt algorithm: implementation and
// theory" (1978); the search for the damping is his, by Newton's method on 1/|D p| with bounds.
//
// The first radius is `factor` |D x|. MINPACK's factor 100 lets the first step leave for regions
// where a model is flat; 1 solves all of NIST's sets from both starts.
//
// Bounds: variables that the gradient presses against theirs are held; those that the step would
// take across go as far as the bound, and the step of the others is found anew.
#include <fmt/format.h>

#include <Eigen/QR>
#include <cmath>
#include <limits>
#include <numeric>

#include "descent/optim/least_squares.h"
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// min |r + J q| with |q| <= radius, for one J and r and any radius.
class TrustRegion {
 public:
  TrustRegion(const Matrix& j, const Vector& r) : qr_(j), newton_(shortest_solution(j, r)) {
    const auto k = std::min(j.rows(), j.cols());
    triangle_ = qr_.matrixR().topRows(k).template triangularView<Eigen::Upper>();
    Vector b = r;
    b.applyOnTheLeft(qr_.householderQ().adjoint());
    rotated_ = b.head(k);
  }

  // The step and the damping that makes it so short; a tenth off is near enough.
  Vector step(double radius, double& damping) const {
    damping = 0;
    if (newton_.norm() <= 1.1 * radius) return newton_;
    double low = 0, high = (triangle_.transpose() * rotated_).norm() / radius;
    damping = 1e-3 * high;
    Vector q = newton_;
    for (int i = 0; i < 50; ++i) {
      double slope = 0;
      q = damped(damping, slope);
      const double length = q.norm();
      if (std::abs(length - radius) <= 0.1 * radius) break;
      (length > radius ? low : high) = damping;
      damping += (length / radius - 1) / slope;
      if (!(damping > low && damping < high))
        damping = std::max(1e-3 * high, std::sqrt(low * high));
    }
    return q;
  }

 private:
  // slope: -d log|q| / d damping.
  Vector damped(double damping, double& slope) const {
    const auto n = triangle_.cols();
    const auto k = triangle_.rows();
    Matrix stacked = Matrix::Zero(k + n, n);
    stacked.topRows(k) = triangle_;
    stacked.bottomRows(n).diagonal().setConstant(std::sqrt(damping));
    const Eigen::HouseholderQR<Matrix> qr(stacked);
    Vector b = Vector::Zero(k + n);
    b.head(k) = -rotated_;
    b.applyOnTheLeft(qr.householderQ().adjoint());
    const auto upper = qr.matrixQR().topRows(n).template triangularView<Eigen::Upper>();
    Vector z = upper.solve(b.head(n));
    slope = upper.transpose().solve(z / z.norm()).squaredNorm();
    return qr_.colsPermutation() * z;
  }

  Eigen::ColPivHouseholderQR<Matrix> qr_;
  Vector newton_;
  Matrix triangle_;
  Vector rotated_;  // the part of Q^T r that J can reach
};

struct Settings {
  double factor = 1, step_tolerance = 0;
};

class LevenbergMarquardt {
 public:
  LevenbergMarquardt(Run& run, const Settings& settings)
      : run_(run), settings_(settings), f_(run.objective), scale_(Vector::Zero(run.x.size())) {
    f_.residuals_and_jacobian(run.x, r_, j_);
    sum_ = start_sum_ = r_.squaredNorm();
  }

  void minimise() {
    int level = 0;  // iterations in a row that changed nothing that can be measured
    while (run_.goes_on()) {
      const auto s = scaled_jacobian(run_, j_, scale_);
      if (s.free.empty()) break;
      const TrustRegion region(s.j, r_);
      if (radius_ == 0) radius_ = settings_.factor * first_length(s);
      if (within_tolerance(region)) return;
      const double before = sum_;
      if (!improve(s, region)) break;
      // More than one such iteration: along a curved valley the fall may be small for once.
      level = foretold_ <= 4 * kEpsilon * before && before - sum_ <= 4 * kEpsilon * before
                  ? level + 1
                  : 0;
      if (level > 3 && run_.options().steps == 0) break;
    }
    if (run_.goes_on()) finish_by_shrinking_steps(run_, f_, start_sum_);
  }

 private:
  double first_length(const ScaledJacobian& s) const {
    double size = 0;
    for (std::size_t k = 0; k < s.free.size(); ++k) {
      size += std::pow(s.scale[static_cast<Eigen::Index>(k)] * run_.x[s.free[k]], 2);
    }
    return size > 0 ? std::sqrt(size) : 1;
  }

  bool within_tolerance(const TrustRegion& region) {
    if (settings_.step_tolerance == 0 || run_.options().steps > 0) return false;
    double damping = 0;
    const double newton = region.step(std::numeric_limits<double>::max(), damping).norm();
    const double size = scale_.cwiseProduct(run_.x).norm();
    if (newton > settings_.step_tolerance * size) return false;
    run_.stuck(fmt::format("relative step {:.3g} <= {:g}", newton / size, settings_.step_tolerance),
               true);
    return true;
  }

  struct Step {
    Vector p;                          // of all variables
    double length = 0;                 // |D p|
    double damping = 0, foretold = 0;  // the fall of the sum of squares in the linear model
    bool cut = false;                  // at a bound
  };

  // Variables that would cross a bound go as far as that, and the others do the best they can.
  Step step_within_bounds(const ScaledJacobian& s, const TrustRegion& whole) const {
    Step step{.p = Vector::Zero(run_.x.size())};
    std::vector<Eigen::Index> moving(s.free.size());  // of the free ones
    std::iota(moving.begin(), moving.end(), Eigen::Index{0});
    Vector q = whole.step(radius_, step.damping);
    const auto variable = [&](Eigen::Index k) { return s.free[static_cast<std::size_t>(k)]; };
    while (true) {
      std::vector<Eigen::Index> inside;
      for (std::size_t k = 0; k < moving.size(); ++k) {
        const auto i = variable(moving[k]);
        step.p[i] = q[static_cast<Eigen::Index>(k)] / s.scale[moving[k]];
        const double to = run_.x[i] + step.p[i];
        if (to >= run_.lower(i) && to <= run_.upper(i)) {
          inside.push_back(moving[k]);
        } else {
          step.p[i] = std::clamp(to, run_.lower(i), run_.upper(i)) - run_.x[i];
        }
      }
      if (inside.size() == moving.size()) break;
      step.cut = true;
      moving = inside;
      if (moving.empty()) break;
      Vector fixed = step.p;
      for (const auto k : moving) fixed[variable(k)] = 0;
      q = TrustRegion(s.j(Eigen::all, moving), r_ + j_ * fixed).step(radius_, step.damping);
    }
    for (Eigen::Index k = 0; k < s.scale.size(); ++k)
      step.length = std::hypot(step.length, s.scale[k] * step.p[variable(k)]);
    const Vector along = j_ * step.p;
    // By the equation that an uncut step solves, free of cancellation.
    step.foretold = step.cut ? -(2 * r_.dot(along) + along.squaredNorm())
                             : along.squaredNorm() + 2 * step.damping * q.squaredNorm();
    return step;
  }

  // One accepted step, after as many rejected ones as it takes; false: there is none.
  bool improve(const ScaledJacobian& s, const TrustRegion& region) {
    const double size = scale_.cwiseProduct(run_.x).norm();
    while (true) {
      const Step step = step_within_bounds(s, region);
      const Vector to = run_.inside(run_.x + step.p);  // not beyond by rounding
      foretold_ = step.foretold;
      const bool finite = to != run_.x && try_step(to);
      const double ratio = finite && foretold_ > 0 ? (sum_ - next_sum_) / foretold_ : -1;
      if (ratio < 0.25) {
        radius_ = 0.25 * std::min(radius_, step.length);
      } else if (ratio > 0.75 || step.damping == 0) {
        radius_ = 2 * step.length;
      }
      if (ratio > 1e-4 && accept(to)) return true;
      if (step.length <= kEpsilon * size || radius_ < 1e-300) return false;
      if (!step.cut && foretold_ <= kEpsilon / 2 * sum_) return false;
    }
  }

  bool try_step(const Vector& to) {
    f_.residuals(to, next_);
    run_.f.count_evaluation();
    next_sum_ = next_.squaredNorm();
    return std::isfinite(next_sum_);
  }

  bool accept(const Vector& to) {
    Vector r;
    Matrix j;
    f_.residuals_and_jacobian(to, r, j);
    if (!j.allFinite()) {  // as if the residuals were not: a shorter step
      radius_ *= 0.25;
      return false;
    }
    r_ = std::move(r);
    j_ = std::move(j);
    sum_ = next_sum_;
    run_.accept(to, sum_, 2 * (j_.transpose() * r_));
    return true;
  }

  Run& run_;
  Settings settings_;
  LeastSquares f_;
  Vector r_, next_, scale_;
  Matrix j_;
  double start_sum_ = 0, sum_ = 0, next_sum_ = 0, radius_ = 0, foretold_ = 0;
};

Method method(const Options& options) {
  return [settings = Settings{.factor = options.number("factor"),
                              .step_tolerance = options.number("step_tolerance")}](Run& run) {
    LevenbergMarquardt(run, settings).minimise();
  };
}

}  // namespace

void register_levenberg_marquardt(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "levenberg_marquardt",
       .help = "Levenberg-Marquardt for sums of squares, in a trust region with scaled variables "
               "(More 1978)",
       .options = {number_option("factor", 1, "first radius, in lengths of the scaled start"),
                   number_option("step_tolerance", 0,
                                 "converged where the undamped step is at most this part of the "
                                 "parameters; 0: as far as rounding lets it come")},
       .method = method,
       .iterations = 2000,
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
