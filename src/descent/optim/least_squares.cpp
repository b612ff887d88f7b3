#include "descent/optim/least_squares.h"

#include <fmt/format.h>

#include <Eigen/QR>
#include <cmath>
#include <cstring>

#include "descent/autodiff/autodiff.h"
#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

// Up to here the derivatives along all coordinates are one plan, which shares what they have in
// common; beyond, a plan of one direction is replayed, since the other would take long to compile.
constexpr Eigen::Index kUnrolled = 32;

PlanInput vector_input(Eigen::Index size, const char* name) {
  return {.type = {DType::float64, {size}, false}, .name = name};
}

void fill(const Array& array, const Vector& x) {
  std::memcpy(array.raw(), x.data(), array.bytes());
}

Eigen::Map<const Vector> view(const Array& array) {
  return {array.as<double>().data(), array.size()};
}

Value unit(Eigen::Index size, Eigen::Index i) {
  Array e(DType::float64, {size});
  e.set_item(i, 1);
  return constant(e);
}

Value flat_residuals(const Fn& residuals, ValueSpan in) {
  const Value r = residuals(in.first(1)).at(0);
  if (r.dtype() != DType::float64) {
    throw Error(ErrorKind::usage,
                fmt::format("the residuals are {}, not float64", to_string(r.type())),
                "least squares");
  }
  return r.rank() == 1 ? r : reshape(r, {-1});
}

}  // namespace

LeastSquares::LeastSquares(const Objective& objective) : size_(objective.size) {
  if (!objective.residuals) {
    throw Error(ErrorKind::usage, "the method needs residuals, not only their sum of squares",
                "least squares",
                "use lbfgs; descent fit, or Objective::residuals, gives residuals");
  }
  residuals_ = [residuals = objective.residuals](ValueSpan in) {
    return Values{flat_residuals(residuals, in)};
  };
  plan_ = compile(residuals_, {vector_input(size_, "x")});
  rows_ = plan_.output(0).size();
  if (rows_ == 0) throw Error(ErrorKind::usage, "there are no residuals", "least squares");
}

void LeastSquares::compile_jacobian() {
  forward_ = rows_ >= size_;
  const Eigen::Index directions = forward_ ? size_ : rows_;
  one_by_one_ = directions > kUnrolled;
  // {x} -> {r, columns or rows of J}; one by one: {x, direction} -> {r, one of them}
  const Fn f = [&](ValueSpan in) {
    Values out = residuals_(in.first(1));
    const Values r = out;
    for (Eigen::Index i = 0; i < (one_by_one_ ? 1 : directions); ++i) {
      const Values along = {one_by_one_ ? in[1] : unit(directions, i)};
      out.push_back(forward_ ? tangents(r, in.first(1), along).at(0)
                             : gradients(r, in.first(1), along).at(0));
    }
    return out;
  };
  std::vector<PlanInput> inputs = {vector_input(size_, "x")};
  if (one_by_one_) inputs.push_back(vector_input(directions, "direction"));
  jacobian_ = compile(f, inputs);
}

void LeastSquares::run(Plan& plan, const Vector& x) {
  fill(plan.input(0), x);
  plan.run();
}

void LeastSquares::residuals(const Vector& x, Vector& r) {
  run(plan_, x);
  r = view(plan_.output(0));
}

void LeastSquares::residuals_and_jacobian(const Vector& x, Vector& r, Matrix& j) {
  if (!jacobian_) compile_jacobian();
  j.resize(rows_, size_);
  for (Eigen::Index i = 0; i < (forward_ ? size_ : rows_); ++i) {
    if (one_by_one_) fill(jacobian_.input(1), Vector::Unit(forward_ ? size_ : rows_, i));
    if (one_by_one_ || i == 0) run(jacobian_, x);
    const auto part = view(jacobian_.output(one_by_one_ ? 1 : static_cast<int>(i) + 1));
    if (forward_) {
      j.col(i) = part;
    } else {
      j.row(i) = part.transpose();
    }
  }
  r = view(jacobian_.output(0));
}

ScaledJacobian scaled_jacobian(const Run& run, const Matrix& j, Vector& scale) {
  ScaledJacobian s;
  scale = scale.cwiseMax(j.colwise().norm().transpose());
  for (Eigen::Index i = 0; i < j.cols(); ++i) {
    const double g = run.gradient[i];
    const bool held = (run.x[i] <= run.lower(i) && g >= 0) || (run.x[i] >= run.upper(i) && g <= 0);
    if (!held) s.free.push_back(i);
  }
  const auto count = std::ssize(s.free);
  s.scale.resize(count);
  s.j.resize(j.rows(), count);
  for (Eigen::Index k = 0; k < count; ++k) {
    const auto i = s.free[static_cast<std::size_t>(k)];
    s.scale[k] = scale[i] > 0 ? scale[i] : 1;
    s.j.col(k) = j.col(i) / s.scale[k];
  }
  return s;
}

Vector shortest_solution(const Matrix& j, const Vector& r) {
  if (j.cols() == 0) return Vector::Zero(0);
  const Eigen::ColPivHouseholderQR<Matrix> qr(j);
  if (qr.rank() == j.cols()) return qr.solve(-r);
  return Eigen::CompleteOrthogonalDecomposition<Matrix>(j).solve(-r);
}

void finish_by_shrinking_steps(Run& run, LeastSquares& f, double sum_at_start) {
  // More than the rounding of a sum of squares (whose residuals may be 1e-6 of what was measured),
  // less than what a wrong direction would cost.
  constexpr double kRise = 1e-6;
  constexpr double kVanished = 1e-15;   // of the residuals at the start
  constexpr int kMost = 200;            // steps that hardly shrink lead nowhere
  constexpr double kSmallStep = 1e-7;   // of the parameters
  constexpr double kOrthogonal = 1e-6;  // cosine of the angle between residuals and columns
  Vector r;
  Matrix j;
  f.residuals_and_jacobian(run.x, r, j);
  double least = r.squaredNorm();
  for (int step = 0; step < kMost; ++step) {
    Vector scale = Vector::Zero(run.x.size());
    const auto s = scaled_jacobian(run, j, scale);
    const Vector q = shortest_solution(s.j, r);
    const double length = q.norm();
    Vector to = run.x;
    double size = 0;
    for (Eigen::Index k = 0; k < q.size(); ++k) {
      const auto i = s.free[static_cast<std::size_t>(k)];
      to[i] += q[k] / s.scale[k];
      size += std::pow(s.scale[k] * run.x[i], 2);
    }
    const double cosine = q.size() == 0 || least == 0
                              ? 0
                              : (s.j.transpose() * r).cwiseAbs().maxCoeff() / std::sqrt(least);
    const bool vanished = std::sqrt(least) <= kVanished * std::sqrt(sum_at_start);
    if (step == 0 && !vanished && length > kSmallStep * std::sqrt(size) && !(cosine <= kOrthogonal))
      return run.stuck("no step makes the sum of squares smaller");
    if (to == run.x || !(run.inside(to) == to) || !run.goes_on()) break;
    f.residuals_and_jacobian(to, r, j);
    run.f.count_evaluation();
    const double there = r.squaredNorm();
    if (!j.allFinite() || !(there <= least * (1 + kRise))) break;
    // The step from there, in the same measure.
    const auto next = scaled_jacobian(run, j, scale);
    if (!(shortest_solution(next.j, r).norm() < length)) break;
    least = std::min(least, there);
    run.accept(to, there, 2 * (j.transpose() * r));
  }
  run.stuck("no further decrease", true);
}

}  // namespace descent::optim
