// SVRG, SAG, SAGA and Katyusha on ridge-regularised logistic regression, against Newton's solution.
#include "descent/optim/finite_sum.h"

#include <gmock/gmock.h>

#include <Eigen/Dense>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/random.h"

namespace descent::optim {
namespace {

// f_i(x) = log(1 + exp(-y_i a_i.x)) + ridge / 2 |x|^2, |a_i| = 1, so L = 1/4 + ridge.
struct Logistic {
  Eigen::MatrixXd a;  // rows times labels
  double ridge;

  Logistic(Eigen::Index n, Eigen::Index d, double ridge_) : a(n, d), ridge(ridge_) {
    RandomStream random(11);
    for (Eigen::Index i = 0; i < n; ++i) {
      for (Eigen::Index k = 0; k < d; ++k) a(i, k) = random.normal() / static_cast<double>(k + 1);
      const double label = a(i, 0) + 0.5 * random.normal() > 0 ? 1 : -1;
      a.row(i) *= label / a.row(i).norm();
    }
  }

  double smoothness() const { return 0.25 + ridge; }

  FiniteSum sum() const {
    return {.terms = a.rows(),
            .add_gradient = [this](std::int64_t i, std::span<const double> x, double weight,
                                   std::span<double> out) {
              double margin = 0;
              for (std::size_t k = 0; k < x.size(); ++k) margin += at(i, k) * x[k];
              const double slope = -1 / (1 + std::exp(margin));
              for (std::size_t k = 0; k < x.size(); ++k) {
                out[k] += weight * (slope * at(i, k) + ridge * x[k]);
              }
            }};
  }

  Eigen::VectorXd solution() const {
    Eigen::VectorXd x = Eigen::VectorXd::Zero(a.cols());
    const auto n = static_cast<double>(a.rows());
    for (int step = 0; step < 50; ++step) {
      const Eigen::ArrayXd s = 1 / (1 + (a * x).array().exp());
      const Eigen::VectorXd gradient = -a.transpose() * s.matrix() / n + ridge * x;
      Eigen::MatrixXd hessian = a.transpose() * (s * (1 - s)).matrix().asDiagonal() * a / n;
      hessian += ridge * Eigen::MatrixXd::Identity(a.cols(), a.cols());
      x -= hessian.ldlt().solve(gradient);
    }
    return x;
  }

 private:
  double at(std::int64_t i, std::size_t k) const { return a(i, static_cast<Eigen::Index>(k)); }
};

using Vector = std::vector<double>;

double distance(std::span<const double> x, const Eigen::VectorXd& y) {
  return (Eigen::Map<const Eigen::VectorXd>(x.data(), static_cast<Eigen::Index>(x.size())) - y)
      .norm();
}

// |x - x*| after each epoch.
template <class Method, class Options>
Vector distances(Method method, const Logistic& problem, Options options) {
  const auto solution = problem.solution();
  const Vector start(static_cast<std::size_t>(problem.a.cols()));
  Vector all{distance(start, solution)};
  options.on_epoch = [&](std::int64_t, std::span<const double> x) {
    all.push_back(distance(x, solution));
    return true;
  };
  method(problem.sum(), start, options);
  return all;
}

// Below 10 rate^epoch times the start, down to rounding (theory bounds expectations; 10 is for the
// chance of one run), and converged at the end.
void expect_linear(const Vector& d, double rate) {
  for (std::size_t e = 1; e < d.size(); ++e) {
    EXPECT_LE(d[e], std::max(10 * d[0] * std::pow(rate, static_cast<double>(e)), 1e-12))
        << "epoch " << e;
  }
  EXPECT_LT(d.back(), 1e-12);
}

// n = 200, condition number 0.35 / 0.1. Distances fall in an epoch of theory by (1 - 1 / (4 n))^(n
// / 2) = 0.8825 for SAGA, and by (1 - 1 / (8 n))^(n / 2) = 0.9394 for SAG; the bounds of SVRG and
// Katyusha are below SAGA's here.
constexpr double kRidge = 0.1;

TEST(FiniteSum, SvrgConvergesLinearly) {
  const Logistic problem(200, 8, kRidge);
  const auto d =
      distances(svrg, problem, FiniteSumOptions{.step = 1 / (10 * problem.smoothness())});
  expect_linear(d, 0.8825);
}

TEST(FiniteSum, SagConvergesLinearly) {
  const Logistic problem(200, 8, kRidge);
  const auto d = distances(
      sag, problem, FiniteSumOptions{.step = 1 / (16 * problem.smoothness()), .epochs = 200});
  expect_linear(d, 0.9394);
}

TEST(FiniteSum, SagaConvergesLinearly) {
  const Logistic problem(200, 8, kRidge);
  const auto d = distances(saga, problem,
                           FiniteSumOptions{.step = 1 / (3 * problem.smoothness()), .epochs = 100});
  expect_linear(d, 0.8825);
}

TEST(FiniteSum, KatyushaConvergesLinearly) {
  const Logistic problem(200, 8, kRidge);
  const auto d =
      distances(katyusha, problem,
                KatyushaOptions{.smoothness = problem.smoothness(), .strong_convexity = kRidge});
  expect_linear(d, 0.8825);
}

// Condition number 25,000, n = 200: acceleration pays. Equal numbers of gradients.
TEST(FiniteSum, KatyushaIsFasterWhereTheConditionIsBad) {
  const Logistic problem(200, 8, 1e-5);
  const double smooth = problem.smoothness();
  const auto slow =
      distances(svrg, problem, FiniteSumOptions{.step = 1 / (10 * smooth), .epochs = 60});
  const auto fast =
      distances(katyusha, problem,
                KatyushaOptions{.smoothness = smooth, .strong_convexity = 1e-5, .epochs = 60});
  EXPECT_LT(fast.back(), 0.1 * slow.back());
}

// min (1/n) sum (x - c_i)^2 / 2 + 0.5 |x|_1: the mean of c shrunk by 0.5, per element.
TEST(FiniteSum, ProximalStepsGiveTheLasso) {
  const std::vector<Vector> c{{3, 0.25, -4}, {1, -0.5, -1}, {2, 0.75, -1}};  // means 2, 1/6, -2
  FiniteSum sum{
      .terms = 3,
      .add_gradient =
          [&](std::int64_t i, std::span<const double> x, double weight, std::span<double> out) {
            for (std::size_t k = 0; k < x.size(); ++k) {
              out[k] += weight * (x[k] - c[static_cast<std::size_t>(i)][k]);
            }
          },
      .prox =
          [](std::span<double> x, double t) {
            for (auto& u : x) u = std::copysign(std::max(std::abs(u) - 0.5 * t, 0.0), u);
          }};
  const Vector expected{1.5, 0, -1.5};
  const auto near = testing::Pointwise(testing::DoubleNear(1e-12), expected);
  EXPECT_THAT(saga(sum, {0, 0, 0}, {.step = 1.0 / 3, .epochs = 300}), near);
  EXPECT_THAT(svrg(sum, {0, 0, 0}, {.step = 0.1, .epochs = 300}), near);
  EXPECT_THAT(katyusha(sum, {0, 0, 0}, {.smoothness = 1, .strong_convexity = 1, .epochs = 300}),
              near);
  EXPECT_THROW(sag(sum, {0, 0, 0}, {.step = 0.1}), Error);
}

TEST(FiniteSum, SameSeedSameRunAndStopsWhenTold) {
  const Logistic problem(50, 4, kRidge);
  const FiniteSumOptions options{.step = 0.5, .epochs = 3, .seed = 5};
  auto other = options, short_run = options;
  other.seed = 6;
  std::int64_t epochs = 0;
  short_run.on_epoch = [&](std::int64_t epoch, std::span<const double>) {
    epochs = epoch;
    return epoch < 2;
  };
  const Vector start(4);
  EXPECT_EQ(saga(problem.sum(), start, options), saga(problem.sum(), start, options));
  EXPECT_NE(saga(problem.sum(), start, options), saga(problem.sum(), start, other));
  sag(problem.sum(), start, short_run);
  EXPECT_EQ(epochs, 2);
  EXPECT_THROW(svrg(problem.sum(), start, {}), Error);
  EXPECT_THROW(katyusha(problem.sum(), start, {.smoothness = 1}), Error);
}

}  // namespace
}  // namespace descent::optim
