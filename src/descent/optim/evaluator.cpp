#include "descent/optim/evaluator.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "descent/autodiff/autodiff.h"
#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

// The function with its result checked, and a vector of one number taken as a scalar.
ScalarFn scalar_function(const Objective& objective) {
  if (!objective.value && !objective.residuals)
    throw Error(ErrorKind::usage, "there is no function to minimise", "minimize");
  if (!objective.value) {
    return
        [residuals = objective.residuals](ValueSpan x) { return sum(square(residuals(x).at(0))); };
  }
  return [f = objective.value](ValueSpan x) {
    const Value y = f(x);
    if (!y) throw Error(ErrorKind::usage, "the function returns no value", "minimize");
    if (y.dtype() != DType::float64 || y.shape().size() != 1) {
      throw Error(ErrorKind::usage,
                  fmt::format("the function gives {}, not one float64 number", to_string(y.type())),
                  "minimize", "sum(...) makes one number of many");
    }
    return y.rank() == 0 ? y : reshape(y, {});
  };
}

// {x, d} to the value and the first two derivatives of f(x + t d) at t = 0.
Fn second_along(const ScalarFn& f) {
  return [f](ValueSpan in) {
    const Values direction = {in[1]};
    const Fn once = [&](ValueSpan at) {
      auto [y, dy] = jvp([&f](ValueSpan p) { return Values{f(p)}; }, at, direction);
      return Values{y[0], dy[0]};
    };
    auto [y, dy] = jvp(once, in.first(1), direction);
    return Values{y[0], y[1], dy[1]};
  };
}

}  // namespace

Evaluator::Evaluator(Objective objective)
    : objective_(std::move(objective)), f_(scalar_function(objective_)) {
  if (objective_.size < 1) {
    throw Error(ErrorKind::usage,
                fmt::format("a function of {} variables cannot be minimised", objective_.size),
                "minimize");
  }
}

void Evaluator::prepare(Compiled& c, const Fn& f, int inputs) const {
  const PlanInput vector{.type = {DType::float64, {objective_.size}, false}, .name = "x"};
  c.plan = compile(f, std::vector<PlanInput>(static_cast<std::size_t>(inputs), vector));
  for (int i = 0; i < c.plan.inputs(); ++i) {
    c.in.push_back(c.plan.input(i).as<double>().data());
  }
  for (int i = 0; i < c.plan.outputs(); ++i) {
    c.out.push_back(c.plan.output(i).as<double>().data());
  }
}

void Evaluator::run(Compiled& c, const Vector& x) {
  std::memcpy(c.in[0], x.data(), static_cast<std::size_t>(x.size()) * sizeof(double));
  c.plan.run();
}

double Evaluator::value(const Vector& x) {
  ++evaluations_;
  if (!value_.plan) {
    prepare(
        value_, [this](ValueSpan in) { return Values{f_(in)}; }, 1);
  }
  run(value_, x);
  return *value_.out[0];
}

double Evaluator::value_and_gradient(const Vector& x, Vector& g) {
  if (objective_.gradient) {
    const auto user = objective_.gradient({x.data(), static_cast<std::size_t>(x.size())});
    if (std::ssize(user) != x.size()) {
      throw Error(ErrorKind::usage,
                  fmt::format("the gradient given has {} components for {} variables", user.size(),
                              x.size()),
                  "minimize");
    }
    g = Vector::Map(user.data(), x.size());
    return value(x);
  }
  ++evaluations_;
  if (!gradient_.plan) prepare(gradient_, value_and_grad(f_), 1);
  run(gradient_, x);
  g = Vector::Map(gradient_.out[1], x.size());
  return *gradient_.out[0];
}

Vector Evaluator::differentiated(const Vector& x) {
  if (!gradient_.plan) prepare(gradient_, value_and_grad(f_), 1);
  run(gradient_, x);
  return Vector::Map(gradient_.out[1], x.size());
}

void Evaluator::hessian_times(const Vector& x, const Vector& v, Vector& product) {
  ++products_;
  if (!product_.plan) {
    prepare(
        product_, [this](ValueSpan in) { return hvp(f_, in.first(1), in.subspan(1)); }, 2);
  }
  std::memcpy(product_.in[1], v.data(), static_cast<std::size_t>(v.size()) * sizeof(double));
  run(product_, x);
  product = Vector::Map(product_.out[0], x.size());
}

Evaluator::Along Evaluator::along(const Vector& x, const Vector& d) {
  ++evaluations_;
  if (!along_.plan) prepare(along_, second_along(f_), 2);
  std::memcpy(along_.in[1], d.data(), static_cast<std::size_t>(d.size()) * sizeof(double));
  run(along_, x);
  return {*along_.out[0], *along_.out[1], *along_.out[2]};
}

Matrix Evaluator::hessian(const Vector& x) {
  const auto n = x.size();
  Matrix h(n, n);
  Vector column(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    hessian_times(x, Vector::Unit(n, i), column);
    h.col(i) = column;
  }
  return 0.5 * (h + h.transpose());  // symmetric to the last bit: what factorisations assume
}

// Ours is exact to rounding, so that a difference of 1e-6 of the larger component (or of the whole
// gradient's largest, where that component is small by cancellation) is a mistake in the user's.
void check_gradient(Evaluator& f, const Vector& x) {
  if (!f.objective().gradient) return;
  Vector user(x.size());
  f.value_and_gradient(x, user);
  const Vector ours = f.differentiated(x);
  const double scale = ours.lpNorm<Eigen::Infinity>();
  Eigen::Index worst = -1;
  double most = 1;
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    const double size =
        1e-6 * std::max(std::abs(ours[i]), std::abs(user[i])) + 1e-9 * scale + 1e-12;
    const double ratio = std::abs(ours[i] - user[i]) / size;
    if (std::isnan(user[i]) || ratio > most) {
      worst = i;
      most = std::isnan(user[i]) ? INFINITY : ratio;
    }
  }
  if (worst < 0) return;
  throw Error(ErrorKind::usage,
              fmt::format("component {} of the gradient given is {:.10g}, by differentiation it is "
                          "{:.10g}",
                          worst, user[worst], ours[worst]),
              "at x = " + to_string(x), "leave the gradient out to have it computed");
}

std::string to_string(const Vector& x) {
  constexpr Eigen::Index kShown = 6;
  std::string text = "(";
  for (Eigen::Index i = 0; i < std::min(x.size(), kShown); ++i)
    text += fmt::format("{}{:.6g}", i > 0 ? ", " : "", x[i]);
  if (x.size() > kShown) text += fmt::format(", ... {} numbers", x.size());
  return text + ")";
}

}  // namespace descent::optim
