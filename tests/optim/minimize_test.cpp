// The minimisers on functions whose minima are known.
#include "descent/optim/minimize.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/evaluator.h"
#include "descent/optim/test_functions.h"
#include "tests/support/allocations.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

using descent::test::error_of;

using testing::HasSubstr;
using Given = std::vector<std::pair<std::string, OptionValue>>;

Options options(const Given& given) {
  Options o;
  for (const auto& [key, value] : given) o.set(key, value);
  return o;
}

// A row of the tables: a minimiser with options.
struct Case {
  std::string name;
  Given given;
  std::shared_ptr<const Minimizer> make() const { return minimizer(name, options(given)); }
  std::string label() const {
    std::string text = name;
    for (const auto& [key, value] : given) text += "_" + key + "_" + to_string(value);
    std::erase_if(text, [](char c) { return c == '"'; });
    for (char& c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    }
    return text;
  }
};
std::string label(const testing::TestParamInfo<Case>& info) { return info.param.label(); }

// x'Ax / 2 - b'x with A = Q diag(1 ... condition) Q', Q a reflection; its minimum is all ones.
struct Quadratic {
  std::int64_t n;
  Array a, b;
  Quadratic(std::int64_t size, double condition) : n(size), a(DType::float64, {n, n}) {
    Vector v(n), eigenvalues(n);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto k = static_cast<double>(i);
      v[i] = std::sin(1 + k);
      eigenvalues[i] = std::pow(condition, k / static_cast<double>(n - 1));
    }
    v.normalize();
    const Matrix q = Matrix::Identity(n, n) - 2 * v * v.transpose();
    const Matrix m = q * eigenvalues.asDiagonal() * q.transpose();
    const Vector right = m * Vector::Ones(n);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) a.set_item(i * n + j, 0.5 * (m(i, j) + m(j, i)));
    }
    b = Array::from(std::vector<double>(right.begin(), right.end()), {n});
  }
  Objective objective() const {
    Objective o;
    o.size = n;
    o.value = [q = *this](ValueSpan in) {
      const auto x = reshape(in[0], {q.n, 1});
      return 0.5 * sum(x * matmul(constant(q.a), x)) - dot(constant(q.b), in[0]);
    };
    return o;
  }
  std::vector<double> start() const { return std::vector<double>(static_cast<std::size_t>(n)); }
};

double distance_to_ones(const std::vector<double>& x) {
  double most = 0;
  for (const double v : x) most = std::max(most, std::abs(v - 1));
  return most;
}

Value rosenbrock(const Value& v) {
  return 100.0 * square(v[1] - square(v[0])) + square(1.0 - v[0]);
}

bool has_nlopt() {
  try {
    minimize(rosenbrock, {1, 1}, minimizer("nelder_mead"), {.steps = 1});
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool free_of_gradients(const std::string& name) {
  const std::vector<std::string> names = {"nelder_mead", "subplex", "cobyla",
                                          "bobyqa",      "newuoa",  "praxis"};
  return std::ranges::find(names, name) != names.end();
}

// ---- every method, under every name ----

class EveryName : public testing::TestWithParam<std::string> {};
std::vector<std::string> names_for_values() {
  auto names = minimizer_names();
  // They need residuals: least_squares_test.cpp.
  std::erase(names, "levenberg_marquardt");
  std::erase(names, "gauss_newton");
  return names;
}
INSTANTIATE_TEST_SUITE_P(, EveryName, testing::ValuesIn(names_for_values()),
                         [](const auto& test) { return test.param; });

Value wavy(const Value& x) {
  return sum(square(x - 0.3) + 0.1 * sin(3.0 * x)) + square(x[0] * x[1]);
}

TEST_P(EveryName, MakesExactlyTheStepsAskedFor) {
  if (free_of_gradients(GetParam()) && !has_nlopt()) GTEST_SKIP() << "built without NLopt";
  for (const std::int64_t steps : {1, 7, 60}) {
    std::vector<std::int64_t> told;
    const MinimizeOptions o{.steps = steps,
                            .watch = [&](const Iterate& i) { told.push_back(i.iteration); }};
    const auto found = minimize(wavy, {0.1, 0.2, 0.3, 0.4}, minimizer(GetParam()), o);
    EXPECT_EQ(found.iterations, steps) << found.reason;
    std::vector<std::int64_t> all(static_cast<std::size_t>(steps + 1));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(told, all);
  }
}

TEST_P(EveryName, GivesTheSameBitsAgain) {
  if (free_of_gradients(GetParam()) && !has_nlopt()) GTEST_SKIP() << "built without NLopt";
  const auto method = minimizer(GetParam());
  const auto run = [&] {
    return minimize(wavy, {0.1, 0.2, 0.3, 0.4}, method, {.max_iterations = 100});
  };
  const auto a = run(), b = run();
  EXPECT_EQ(a.x, b.x);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.evaluations, b.evaluations);
  EXPECT_NE(a.x, (std::vector<double>{0.1, 0.2, 0.3, 0.4}));
}

TEST_P(EveryName, RefusesAStartThatIsNotFinite) {
  const auto f = [](const Value& x) { return sum(log(x)); };
  EXPECT_THAT(error_of([&] {
                minimize(f, {1, -1}, minimizer(GetParam()));
              }),
              HasSubstr("the value is nan at the start"));
}

// ---- quadratic functions ----

class OnQuadratics : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , OnQuadratics,
    testing::Values(Case{"gd", {{"lr", 0.015}}}, Case{"gd", {{"line_search", "armijo"}}},
                    Case{"gd", {{"line_search", "wolfe"}}},
                    Case{"gd", {{"line_search", "hager_zhang"}}}, Case{"momentum", {{"lr", 0.02}}},
                    Case{"nesterov", {{"lr", 0.01}}},
                    Case{"nesterov", {{"lr", 0.01}, {"form", "lookahead"}}}, Case{"bb", {}},
                    Case{"bb", {{"form", "short"}}}, Case{"cg", {}},
                    Case{"cg", {{"formula", "fletcher-reeves"}}},
                    Case{"cg", {{"formula", "polak-ribiere+"}}}, Case{"bfgs", {}},
                    Case{"lbfgs", {}}, Case{"lbfgs", {{"line_search", "hager_zhang"}}},
                    Case{"lbfgsb", {}}, Case{"newton", {}}, Case{"newton_cg", {}},
                    Case{"trust_region", {}}, Case{"owlqn", {}}, Case{"fista", {}},
                    Case{"coordinate_descent", {}}, Case{"projected_gradient", {}}),
    label);

TEST_P(OnQuadratics, ReachesTheMinimum) {
  const Quadratic q(10, 100);
  const auto found = minimize(q.objective(), q.start(), GetParam().make());
  EXPECT_TRUE(found.converged) << found.reason;
  EXPECT_LT(distance_to_ones(found.x), 1e-8);  // gradient 1e-8 over the least curvature, 1
  EXPECT_EQ(found.kind,
            GetParam().name == "owlqn" || GetParam().name == "fista" ? "unknown" : "minimum");
  ASSERT_EQ(found.eigenvalues.size(), 10u);
  EXPECT_NEAR(found.eigenvalues.front(), 1, 1e-12);
  EXPECT_NEAR(found.eigenvalues.back(), 100, 1e-10);
}

TEST(Gd, IsTheRecurrence) {
  const auto f = [](const Value& x) { return sum(square(x)); };
  const auto found = minimize(f, {3, -1}, minimizer("gd", options({{"lr", 0.1}})), {.steps = 25});
  double a = 3, b = -1;
  for (int i = 0; i < 25; ++i) {
    a -= 0.1 * (2.0 * a);
    b -= 0.1 * (2.0 * b);
  }
  EXPECT_EQ(found.x, (std::vector<double>{a, b}));
  EXPECT_EQ(found.evaluations, 26);
}

// Optimal parameters for eigenvalues in [1, 100]: the heavy ball's error shrinks by
// (sqrt L - sqrt m) / (sqrt L + sqrt m) = 9/11 a step, but for a factor linear in the steps.
TEST(Momentum, MeetsItsRate) {
  const Quadratic q(20, 100);
  const double rate = 9.0 / 11, lr = 4.0 / 121;
  for (const std::int64_t k : {50, 100, 140}) {
    const auto found = minimize(
        q.objective(), q.start(),
        minimizer("momentum", options({{"lr", lr}, {"momentum", rate * rate}})), {.steps = k});
    const double error = distance_to_ones(found.x), theory = std::pow(rate, static_cast<double>(k));
    EXPECT_LT(error, 4 * static_cast<double>(k) * theory) << k;
    EXPECT_GT(error, 1e-2 * theory) << k;  // or the bound would say nothing
  }
}

// Nesterov 2004, theorem 2.2.3: f(x_k) - f* <= (1 - sqrt(m / L))^k (f(x_0) - f* + m/2 |x_0 -
// x*|^2).
TEST(Nesterov, MeetsItsRate) {
  const Quadratic q(20, 100);
  const auto at = [&](std::int64_t k, const char* form) {
    return minimize(
               q.objective(), q.start(),
               minimizer(
                   "nesterov",
                   options({{"lr", 0.01}, {"momentum", 9.0 / 11}, {"form", std::string(form)}})),
               {.steps = k})
        .value;
  };
  Evaluator f(q.objective());
  const double least = f.value(Vector::Ones(20)), start = f.value(Vector::Zero(20));
  for (const std::int64_t k : {20, 60, 120}) {
    const double bound = std::pow(0.9, static_cast<double>(k)) * (start - least + 0.5 * 20);
    EXPECT_LT(at(k, "lookahead") - least, bound) << k;
    // PyTorch's x is the other's look-ahead point, whose value is within a constant.
    EXPECT_LT(at(k, "torch") - least, 10 * bound) << k;
  }
}

// With an exact line search conjugate directions end in n steps (and L-BFGS with n pairs makes
// them): the last of ten takes the gradient from 0.1 to 1e-5. 1e-6 of the first gradient: what
// rounding in the line search leaves of conjugacy.
class Conjugate : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, Conjugate,
                         testing::Values(Case{"cg", {{"formula", "fletcher-reeves"}}},
                                         Case{"cg", {{"formula", "polak-ribiere+"}}},
                                         Case{"cg", {{"formula", "hager-zhang"}}}, Case{"bfgs", {}},
                                         Case{"lbfgs", {}}),
                         label);
TEST_P(Conjugate, EndsAQuadraticInNSteps) {
  auto c = GetParam();
  c.given.insert(c.given.end(), {{"line_search", "wolfe"}, {"c2", 1e-9}});
  for (const std::int64_t n : {2, 5, 10}) {
    const Quadratic q(n, 100);
    double first = 0;
    const auto remember = [&](const Iterate& i) { first = std::max(first, i.gradient_norm); };
    const auto found =
        minimize(q.objective(), q.start(), c.make(), {.steps = n, .watch = remember});
    EXPECT_LE(found.gradient_norm, 1e-6 * first) << n;
  }
}

TEST(Newton, EndsAQuadraticInOneStep) {
  const Quadratic q(10, 1e4);
  for (const char* modification : {"eigenvalue", "cholesky"}) {
    const auto found =
        minimize(q.objective(), q.start(),
                 minimizer("newton", options({{"modification", std::string(modification)}})));
    EXPECT_EQ(found.iterations, 1);
    EXPECT_LT(distance_to_ones(found.x), 1e-11);
  }
}

// ---- Rosenbrock ----

class OnRosenbrock : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , OnRosenbrock,
    testing::Values(Case{"bb", {}}, Case{"cg", {}}, Case{"cg", {{"formula", "fletcher-reeves"}}},
                    Case{"cg", {{"formula", "polak-ribiere+"}}}, Case{"bfgs", {}},
                    Case{"bfgs", {{"line_search", "armijo"}}}, Case{"lbfgs", {}},
                    Case{"lbfgs", {{"line_search", "armijo"}}},
                    Case{"lbfgs", {{"line_search", "hager_zhang"}}}, Case{"lbfgsb", {}},
                    Case{"newton", {}}, Case{"newton", {{"modification", "cholesky"}}},
                    Case{"newton_cg", {}}, Case{"trust_region", {}}, Case{"owlqn", {}},
                    Case{"nelder_mead", {}}, Case{"subplex", {}}, Case{"bobyqa", {}},
                    Case{"newuoa", {}}, Case{"praxis", {}}),
    label);
TEST_P(OnRosenbrock, ReachesTheMinimum) {
  const auto& name = GetParam().name;
  const bool without = free_of_gradients(name);
  if (without && !has_nlopt()) GTEST_SKIP() << "built without NLopt";
  for (const std::vector<double>& start : {std::vector<double>{-1.2, 1}, {-3, -4}, {2, 5}}) {
    const auto found = minimize(rosenbrock, start, GetParam().make());
    EXPECT_TRUE(found.converged) << found.reason;
    // Gradient 1e-8 over the least curvature, 0.4; without gradients the values' rounding decides.
    EXPECT_LT(distance_to_ones(found.x), without ? 1e-5 : 5e-8);
    EXPECT_EQ(found.kind, name == "owlqn" ? "unknown" : "minimum");
  }
}

TEST(Lbfgs, MinimisesAThousandVariables) {
  const auto t = test_function("rosenbrock", 1000);
  const auto found = minimize(t.objective, t.start);
  EXPECT_TRUE(found.converged) << found.reason;
  EXPECT_LT(found.value, 1e-12);
  EXPECT_EQ(found.kind, "unknown");  // too many variables for a Hessian
  EXPECT_TRUE(found.eigenvalues.empty());
}

// An optimizer of training: the same steps as its formula.
TEST(Adam, TakesTheFullGradient) {
  const auto f = [](const Value& x) { return sum(square(x)); };
  const auto found = minimize(f, {1}, minimizer("adam", options({{"lr", 0.1}})), {.steps = 1});
  EXPECT_NEAR(found.x[0], 0.9, 1e-8);  // the first step is lr times the sign
}

// ---- L1 ----

// |Ax - b|^2 / 2 + l1 |x|_1 of 30 rows and 8 columns.
struct Lasso {
  Matrix a;
  Vector b;
  double l1 = 2.5;
  Lasso() : a(30, 8), b(30) {
    for (int i = 0; i < 30; ++i) {
      for (int j = 0; j < 8; ++j) a(i, j) = std::sin(1.7 * i * (j + 1)) + 0.2 * j;
      b[i] = 2 * a(i, 1) - 1.5 * a(i, 4) + 0.3 * std::cos(5.0 * i);
    }
  }
  Objective objective() const {
    Array rows(DType::float64, {30, 8}), right(DType::float64, {30, 1});
    for (int i = 0; i < 30; ++i) {
      right.set_item(i, b[i]);
      for (int j = 0; j < 8; ++j) rows.set_item(8 * i + j, a(i, j));
    }
    Objective o;
    o.size = 8;
    o.value = [rows, right](ValueSpan x) {
      return 0.5 * sum(square(matmul(constant(rows), reshape(x[0], {8, 1})) - constant(right)));
    };
    return o;
  }
};

class L1 : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, L1,
                         testing::Values(Case{"owlqn", {{"l1", 2.5}}}, Case{"fista", {{"l1", 2.5}}},
                                         Case{"fista", {{"l1", 2.5}, {"restart", false}}},
                                         Case{"coordinate_descent", {{"l1", 2.5}}}),
                         label);
TEST_P(L1, SatisfiesTheConditionsOfTheLasso) {
  const Lasso lasso;
  const auto found = minimize(lasso.objective(), std::vector<double>(8), GetParam().make());
  EXPECT_TRUE(found.converged) << found.reason;
  const Vector x = Vector::Map(found.x.data(), 8);
  const Vector g = lasso.a.transpose() * (lasso.a * x - lasso.b);
  int zeros = 0;
  for (int i = 0; i < 8; ++i) {
    if (x[i] == 0) {
      ++zeros;
      EXPECT_LE(std::abs(g[i]), lasso.l1);
    } else {
      EXPECT_NEAR(g[i], -std::copysign(lasso.l1, x[i]), 1e-7);  // ten times the tolerance
    }
  }
  EXPECT_GT(zeros, 1);
  EXPECT_LT(zeros, 7);
  EXPECT_NEAR(found.value, 0.5 * (lasso.a * x - lasso.b).squaredNorm() + lasso.l1 * x.lpNorm<1>(),
              1e-10);
  const auto reference = minimize(lasso.objective(), std::vector<double>(8),
                                  minimizer("owlqn", options({{"l1", 2.5}})));
  EXPECT_NEAR(found.value, reference.value, 1e-10);
}

// ---- constraints ----

double total(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0); }

class InBox : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, InBox,
                         testing::Values(Case{"gd", {{"lr", 1e-3}}}, Case{"lbfgs", {}},
                                         Case{"lbfgsb", {}}, Case{"projected_gradient", {}},
                                         Case{"coordinate_descent", {}},
                                         Case{"adam", {{"lr", 1e-2}}}, Case{"bobyqa", {}}),
                         label);
// Rosenbrock in [-1.5, 0.5] x [-1, 2]: the minimum (0.5, 0.25), on the bound of x.
TEST_P(InBox, KeepsTheBoundsAndFindsTheMinimum) {
  if (free_of_gradients(GetParam().name) && !has_nlopt()) GTEST_SKIP() << "built without NLopt";
  Objective o = test_function("rosenbrock").objective;
  o.lower = {-1.5, -1};
  o.upper = {0.5, 2};
  bool kept = true;
  MinimizeOptions m;
  m.watch = [&](const Iterate& i) {
    kept = kept && i.x[0] >= -1.5 && i.x[0] <= 0.5 && i.x[1] >= -1 && i.x[1] <= 2;
  };
  const auto found = minimize(o, {-2, 3}, GetParam().make(), m);
  EXPECT_TRUE(kept);
  EXPECT_NEAR(found.x[0], 0.5, 1e-12);
  EXPECT_NEAR(found.x[1], 0.25, 1e-4);
  EXPECT_EQ(found.kind, "boundary") << found.reason;
}

TEST(Bounds, OfManyVariables) {  // each variable alone: clamp(i - 5, -2, 3)
  Objective o;
  o.size = 12;
  o.value = [](ValueSpan x) {
    return sum(square(square(x[0] - (cast(iota(12), DType::float64) - 5.0))) +
               square(x[0] - (cast(iota(12), DType::float64) - 5.0)));
  };
  o.lower.assign(12, -2);
  o.upper.assign(12, 3);
  const auto found = minimize(o, std::vector<double>(12, 0.5));
  EXPECT_TRUE(found.converged) << found.reason;
  for (int i = 0; i < 12; ++i)
    EXPECT_NEAR(found.x[static_cast<std::size_t>(i)], std::clamp(i - 5.0, -2.0, 3.0), 1e-8);
}

TEST(Bounds, AreRefusedByMethodsThatKeepNone) {
  Objective o = test_function("rosenbrock").objective;
  o.lower = {0, 0};
  EXPECT_THAT(error_of([&] {
                minimize(o, {1, 1}, minimizer("newton"));
              }),
              HasSubstr("the method keeps no bounds"));
  o.lower = {0};
  EXPECT_THAT(error_of([&] { minimize(o, {1, 1}); }), HasSubstr("1 lower bounds"));
  o.lower = {0, 2};
  o.upper = {1, 1};
  EXPECT_THAT(error_of([&] { minimize(o, {1, 1}); }), HasSubstr("above its upper bound"));
}

struct OnSet {
  Case with;
  double tolerance;  // on the value
};
class OnSimplex : public testing::TestWithParam<OnSet> {};
INSTANTIATE_TEST_SUITE_P(
    , OnSimplex,
    testing::Values(
        OnSet{{"projected_gradient", {{"constraint", "simplex"}}}, 1e-12},
        OnSet{{"projected_gradient", {{"constraint", "simplex"}, {"step", "fixed"}, {"lr", 0.1}}},
              1e-12},
        OnSet{{"mirror_descent", {}}, 1e-7},
        OnSet{{"mirror_descent", {{"backtracking", false}}}, 1e-7},
        // After 10,000 steps: the gap falls as 1 / k.
        OnSet{{"frank_wolfe", {}}, 1e-4}, OnSet{{"frank_wolfe", {{"step", "open_loop"}}}, 1e-3}),
    [](const auto& test) { return test.param.with.label(); });
// The nearest point of the simplex to (0.9, 0.5, 0.1, -0.3): (0.7, 0.3, 0, 0).
TEST_P(OnSimplex, StaysThereAndFindsTheNearestPoint) {
  const auto f = [](const Value& x) {
    return sum(square(x - constant(Array::from<double>({0.9, 0.5, 0.1, -0.3}, {4}))));
  };
  bool kept = true;
  MinimizeOptions m;
  m.watch = [&](const Iterate& i) {
    kept = kept && std::ranges::min(i.x) >= 0 && std::abs(total(i.x) - 1) < 1e-12;
  };
  const auto found = minimize(f, {5, 1, 1, 1}, GetParam().with.make(), m);
  EXPECT_TRUE(kept);
  EXPECT_NEAR(found.value, 0.04 + 0.04 + 0.01 + 0.09, GetParam().tolerance) << found.reason;
  EXPECT_EQ(found.kind, "boundary");
}

TEST(OnBall, FindsTheNearestPoint) {
  const auto f = [](const Value& x) { return square(x[0] - 3.0) + square(x[1] - 4.0); };
  for (const char* name : {"projected_gradient", "frank_wolfe"}) {
    const auto found =
        minimize(f, {0, 0}, minimizer(name, options({{"constraint", std::string("ball")}})));
    EXPECT_NEAR(found.x[0], 0.6, 1e-4) << name;
    EXPECT_NEAR(found.x[1], 0.8, 1e-4) << name;
  }
  const auto l1 =
      minimize(f, {0, 0},
               minimizer("projected_gradient", options({{"constraint", std::string("l1_ball")}})));
  EXPECT_NEAR(l1.x[0], 0, 1e-10);  // the diamond's nearest point to (3, 4) is its corner
  EXPECT_NEAR(l1.x[1], 1, 1e-10);
}

// ---- what is not finite ----

class FromNaN : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , FromNaN,
    testing::Values(Case{"lbfgs", {}}, Case{"lbfgs", {{"line_search", "hager_zhang"}}},
                    Case{"lbfgs", {{"line_search", "armijo"}}}, Case{"bfgs", {}}, Case{"cg", {}},
                    Case{"cg", {{"formula", "polak-ribiere+"}}}, Case{"newton", {}},
                    Case{"newton_cg", {}}, Case{"trust_region", {}}, Case{"bb", {}},
                    Case{"owlqn", {}}, Case{"fista", {}}, Case{"coordinate_descent", {}},
                    Case{"projected_gradient", {}}, Case{"lbfgsb", {}},
                    Case{"gd", {{"line_search", "wolfe"}}}),
    label);
// NaN for x <= 0; from 5 the first long steps lead there. Minimum at 1 / 4 and 4.
TEST_P(FromNaN, StepsBack) {
  const auto f = [](const Value& x) {
    return 4.0 * x[0] - log(x[0]) + 0.25 * x[1] - log(x[1]) + 0.01 * square(x[0] * x[1] - 1.0);
  };
  const auto found = minimize(f, {5, 0.01}, GetParam().make());
  EXPECT_NEAR(found.x[0], 0.25, 1e-6) << found.reason;
  EXPECT_NEAR(found.x[1], 4, 1e-5);
}

TEST(NotFinite, AtTheStartSaysWhere) {
  EXPECT_THAT(error_of([] {
                minimize([](const Value& x) { return sum(sqrt(x)); }, {1, 0});
              }),
              testing::AllOf(HasSubstr("component 1 of the gradient is inf"), HasSubstr("(1, 0)")));
}

TEST(NotFinite, LaterEndsAFixedStepAsDiverged) {
  const auto f = [](const Value& x) { return sum(square(square(x))); };
  const auto found = minimize(f, {3}, minimizer("gd", options({{"lr", 1.0}})), {.steps = 100});
  EXPECT_FALSE(found.converged);
  EXPECT_THAT(found.reason, testing::StartsWith("diverged"));
  EXPECT_TRUE(std::isfinite(found.value));
  EXPECT_LT(found.iterations, 100);
}

// ---- gradients of the user's ----

TEST(UsersGradient, IsUsedAndChecked) {
  Objective o = test_function("rosenbrock").objective;
  int calls = 0;
  o.gradient = [&calls](std::span<const double> x) {
    ++calls;
    const double r = x[1] - x[0] * x[0];
    return std::vector<double>{-400 * x[0] * r - 2 * (1 - x[0]), 200 * r};
  };
  const auto found = minimize(o, {-1.2, 1}, nullptr, {.check_gradient = true});
  EXPECT_GT(calls, 10);
  EXPECT_LT(distance_to_ones(found.x), 1e-7);

  o.gradient = [](std::span<const double> x) {
    const double r = x[1] - x[0] * x[0];
    return std::vector<double>{-400 * x[0] * r - 2 * (1 - x[0]), 201 * r};
  };
  EXPECT_THAT(error_of([&] {
                minimize(o, {-1.2, 1}, nullptr, {.check_gradient = true});
              }),
              testing::AllOf(HasSubstr("component 1"), HasSubstr("-88.44"), HasSubstr("-88")));
}

// ---- the kind of point ----

std::string kind(const std::function<Value(const Value&)>& f, std::vector<double> start,
                 const std::string& name = "gd") {
  Options o;
  if (name == "gd") o.set("lr", 0.1);
  return minimize(f, std::move(start), minimizer(name, o)).kind;
}

TEST(Kind, TellsMinimumSaddleAndFlat) {
  const auto x2 = [](const Value& v) { return square(v[0]); };
  EXPECT_EQ(kind([](const Value& v) { return square(v[0]) + 1e-4 * square(v[1]); }, {1, 0}),
            "minimum");
  EXPECT_EQ(kind([](const Value& v) { return square(v[0]) - square(v[1]); }, {1, 0}), "saddle");
  EXPECT_EQ(kind([](const Value& v) { return v[0] * v[1]; }, {1, 1}, "gd"), "saddle");
  EXPECT_EQ(kind(x2, {1, 1}), "flat");  // the second variable does nothing
  EXPECT_EQ(kind([](const Value& v) { return sum(square(square(v))); }, {1, 1}, "newton"), "flat");
  EXPECT_EQ(kind([](const Value& v) { return -sum(square(v)); }, {0, 0}), "maximum");
  EXPECT_EQ(kind([](const Value& v) { return sum(exp(v)); }, {0}), "unknown");  // no minimum
  EXPECT_EQ(minimize(rosenbrock, {-1.2, 1}, minimizer("gd"), {.steps = 3}).kind, "unknown");
}

TEST(Kind, DoesNotDependOnTheScaleOfVariables) {
  const auto t = mgh_problem(4);  // curvatures 2 and 2e12
  const auto found = minimize(t.objective, {1e6, 2e-6}, minimizer("newton"));
  EXPECT_EQ(found.kind, "minimum");
}

// ---- names, errors, cost ----

TEST(Errors, SayWhatToDo) {
  EXPECT_THAT(error_of([] { minimizer("lbfsg"); }), HasSubstr("did you mean \"lbfgs\"?"));
  EXPECT_THAT(error_of([] {
                minimizer("gd", options({{"lrr", 0.1}}));
              }),
              HasSubstr("unknown option \"lrr\""));
  EXPECT_THAT(error_of([] {
                minimize([](const Value& x) { return x; }, {1, 2});
              }),
              HasSubstr("not one float64 number"));
  EXPECT_THAT(error_of([] { minimize(rosenbrock, {}); }), HasSubstr("0 variables"));
  EXPECT_THAT(error_of([] { minimize(Objective{}, {}); }), HasSubstr("no function"));
}

TEST(Evaluator, ReplaysWithoutAllocating) {
  Evaluator f(test_function("rosenbrock", 100).objective);
  Vector x = Vector::Constant(100, 0.5), g(100), product(100);
  f.value(x);
  f.value_and_gradient(x, g);
  f.hessian_times(x, x, product);
  const long before = descent::test::allocations;
  for (int i = 0; i < 10; ++i) {
    f.value(x);
    f.value_and_gradient(x, g);
    f.hessian_times(x, x, product);
  }
  EXPECT_EQ(descent::test::allocations - before, 0);
}

// Forward over forward against reverse, and products against differences of gradients.
TEST(Evaluator, SecondDerivativesAgree) {
  Evaluator f(test_function("levy", 4).objective);
  Vector x(4), d(4), g(4), up(4), down(4), hd(4);
  x << 0.3, -0.7, 1.9, 0.4;
  d << 1, -2, 0.5, 0.25;
  const double value = f.value_and_gradient(x, g);
  f.hessian_times(x, d, hd);
  const auto along = f.along(x, d);
  EXPECT_NEAR(along.value, value, 1e-12);
  EXPECT_NEAR(along.slope, g.dot(d), 1e-10);
  EXPECT_NEAR(along.curvature, d.dot(hd), 1e-9);
  f.value_and_gradient(x + 1e-5 * d, up);
  f.value_and_gradient(x - 1e-5 * d, down);
  EXPECT_LT((hd - (up - down) / 2e-5).norm(), 1e-6 * hd.norm());  // h^2 of the third derivative
}

}  // namespace
}  // namespace descent::optim::test
