// Proximal steps against their definition: the point they give is the least of
// t h(u) + |u - x|^2 / 2, which no other point of a sample undercuts; and known cases.
#include "descent/optim/proximal.h"

#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

using Vector = std::vector<double>;

Vector applied(const Prox& prox, const Vector& x, double t, Shape shape = {},
               DType dtype = DType::float64) {
  const EagerScope scope;
  if (shape.rank() == 0) shape = {static_cast<std::int64_t>(x.size())};
  const auto value = computed({Array::from(x, shape).cast(dtype)}, false);
  const auto rate = computed({Array::from<double>({t}, {}).cast(dtype)}, false);
  return prox.apply(value, rate).array().to_vector();
}

// h, infinite outside of a constraint; 1e-12: rounding may leave a set by that much.
constexpr double kInfinite = std::numeric_limits<double>::infinity();
double l1_norm(const Vector& u) {
  double h = 0;
  for (const double x : u) h += std::abs(x);
  return h;
}
double euclidean(const Vector& u, std::size_t from, std::size_t to) {
  double h = 0;
  for (std::size_t k = from; k < to; ++k) h += u[k] * u[k];
  return std::sqrt(h);
}
double simplex_indicator(const Vector& u) {
  double sum = 0;
  for (const double x : u) {
    if (x < 0) return kInfinite;
    sum += x;
  }
  return std::abs(sum - 1) < 1e-12 ? 0 : kInfinite;
}

struct Case {
  std::string text;
  Shape shape;
  std::function<double(const Vector&)> h;
};

std::vector<Case> cases() {
  return {
      {"l1:0.3", {6}, [](const Vector& u) { return 0.3 * l1_norm(u); }},
      {"group:0.4",
       {2, 3},
       [](const Vector& u) { return 0.4 * (euclidean(u, 0, 3) + euclidean(u, 3, 6)); }},
      {"box:-0.25,0.5",
       {6},
       [](const Vector& u) {
         return std::ranges::all_of(u, [](double x) { return x >= -0.25 && x <= 0.5; }) ? 0
                                                                                        : kInfinite;
       }},
      {"simplex", {6}, simplex_indicator},
      {"ball:0.8",
       {6},
       [](const Vector& u) { return euclidean(u, 0, 6) < 0.8 + 1e-12 ? 0 : kInfinite; }},
  };
}

// For a convex objective with optimum u, every feasible v has objective(v) >= objective(u) +
// |v - u|^2 / 2: a stronger test than being larger.
TEST(Proximal, GivesTheLeastPoint) {
  RandomStream random(7);
  for (const auto& c : cases()) {
    const auto prox = prox_from(c.text);
    for (int round = 0; round < 50; ++round) {
      Vector x(6);
      for (auto& value : x) value = random.normal() * (round % 5 == 0 ? 0.1 : 1.0);
      const double t = 0.1 + random.uniform();
      const auto objective = [&](const Vector& u) {
        double distance = 0;
        for (std::size_t k = 0; k < 6; ++k) distance += (u[k] - x[k]) * (u[k] - x[k]);
        return t * c.h(u) + distance / 2;
      };
      const Vector u = applied(prox, x, t, c.shape);
      const double least = objective(u);
      ASSERT_LT(least, kInfinite) << c.text;
      for (int other = 0; other < 40; ++other) {
        Vector v(6);
        const double size = std::pow(10.0, -static_cast<double>(other % 5));
        for (std::size_t k = 0; k < 6; ++k) v[k] = u[k] + size * random.normal();
        v = applied(prox, v, t, c.shape);  // into the set
        double distance = 0;
        for (std::size_t k = 0; k < 6; ++k) distance += (u[k] - v[k]) * (u[k] - v[k]);
        EXPECT_GE(objective(v), least + distance / 2 - 1e-11) << c.text;
      }
    }
  }
}

TEST(Proximal, KnownCases) {
  EXPECT_EQ(applied(prox_l1(0.5), {2, -0.25, -3}, 1), (Vector{1.5, 0, -2.5}));
  EXPECT_EQ(applied(prox_box(0, 1), {2, 0.25, -3}, 1), (Vector{1, 0.25, 0}));
  EXPECT_EQ(applied(prox_group_lasso(5), {3, 4, 6, 8}, 1, {2, 2}), (Vector{0, 0, 3, 4}));
  EXPECT_EQ(applied(prox_group_lasso(1, 1), {0, 1, 0, 1}, 1, {2, 2})[0], 0);
  EXPECT_EQ(applied(prox_ball(1), {0, 0, 0}, 1), (Vector{0, 0, 0}));
  EXPECT_THAT(applied(prox_ball(1), {3, 4}, 1),
              testing::Pointwise(testing::DoubleNear(1e-15), Vector{0.6, 0.8}));
  EXPECT_THAT(applied(prox_simplex(), {5, 1, 4.5}, 1),
              testing::Pointwise(testing::DoubleNear(1e-14), Vector{0.75, 0, 0.25}));
  EXPECT_THAT(applied(prox_simplex(), {0.2, 0.2, 7, 7}, 1, {2, 2}),
              testing::Each(testing::DoubleNear(0.5, 1e-14)));
}

// Many nearly equal elements and a few large: rows of 10,000 sum to 1 as exactly as the type
// allows.
TEST(Proximal, SimplexOfLongRows) {
  RandomStream random(3);
  Vector x(20000);
  for (auto& value : x) value = 0.01 * random.normal();
  x[7] = 0.5;
  for (const auto dtype : {DType::float64, DType::float32}) {
    const auto u = applied(prox_simplex(), x, 1, {2, 10000}, dtype);
    for (std::size_t row = 0; row < 2; ++row) {
      double sum = 0;
      for (std::size_t k = 0; k < 10000; ++k) sum += u[row * 10000 + k];
      // Each active element carries the rounding of x - tau, some 1e-9 in float32, and 1e4 add up.
      EXPECT_NEAR(sum, 1, dtype == DType::float64 ? 1e-12 : 1e-4);
    }
  }
}

// Lasso of an orthogonal design: |x - c|^2 / 2 + rate |x|_1 has its minimum at c shrunk by rate,
// and with lr = 1 proximal gradient descent is there after one step.
TEST(Proximal, GradientDescentSolvesTheLasso) {
  Problem problem;
  problem.info = {{"x", {DType::float64, {4}, false}}};
  problem.start = {Array::from<double>({9, 9, 9, 9}, {4})};
  problem.loss = [](ValueSpan p) {
    return 0.5 * sum(square(p[0] - descent::constant(Array::from<double>({1, -2, 0.25, 0}, {4}))));
  };
  const auto optimizer = proximal(sgd({.lr = 1}), prox_l1(0.5), 1);
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  for (std::int64_t t = 0; t < 3; ++t) {
    stepper.step(t);
    EXPECT_EQ(stepper.state.parameters[0].to_vector(), (Vector{0.5, -1.5, 0, 0}));
  }
}

// The registry's option is the wrapper, and leaves the bias alone.
TEST(Proximal, OptionIsTheWrapper) {
  const auto problem = golden_problem(trajectories().at("problem"), DType::float64, false);
  const auto made = optimizer_from("adam", {{"lr", 0.1}, {"prox", "box:0,0.01"}}, nullptr, 0);
  const auto direct = proximal(adam({.lr = 0.1}), prox_box(0, 0.01), 0.1);
  const auto a = eager_step(problem, made, start_of(problem, made), 0);
  EXPECT_TRUE(a == eager_step(problem, direct, start_of(problem, direct), 0));
  EXPECT_THAT(a.parameters[0].to_vector(),
              testing::Each(testing::AllOf(testing::Ge(0), testing::Le(0.01 + 1e-16))));
  EXPECT_THAT(a.parameters[1].to_vector(), testing::Contains(testing::Gt(0.1)));
}

TEST(Proximal, ErrorsSayWhatToDo) {
  for (const char* text :
       {"l2:0.1", "l1", "l1:x", "l1:1,2", "box:1", "box:2,1", "simplex:1", "ball:0", "l1:-1", ""}) {
    EXPECT_THROW(prox_from(text), Error) << text;
  }
  try {
    prox_from("lasso:1");
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("write l1:RATE"));
  }
}

}  // namespace
}  // namespace descent::optim::test
