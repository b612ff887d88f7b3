// What L-BFGS for training promises beyond its golden rows.
#include "descent/optim/lbfgs.h"

#include <gmock/gmock.h>

#include "descent/optim/partition.h"
#include "descent/optim/wolfe_steps.h"
#include "tests/optim/stepper.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

using descent::test::error_of;
using testing::HasSubstr;
using LineSearch = LbfgsOptions::LineSearch;
using PairsOf = LbfgsOptions::PairsOf;

Problem problem_of(std::vector<double> start, ScalarFn loss) {
  const auto n = static_cast<std::int64_t>(start.size());
  Problem problem;
  problem.info = {{"x", {DType::float64, {n}, false}}};
  problem.start = {Array::from(start, {n})};
  problem.loss = std::move(loss);
  return problem;
}

double loss_at(const Problem& problem, const Array& x) {
  const EagerScope scope({.check_finite = false});
  return problem.loss(Values{computed({x}, false)}).item();
}

// x'A x / 2 - sum x with A of eigenvalues 1 to n, turned by two reflections.
Problem quadratic(std::int64_t n) {
  return problem_of(std::vector<double>(static_cast<std::size_t>(n), 2.0), [n](ValueSpan p) {
    const auto turned = [](const Value& x, const Value& v) { return x - 2.0 * dot(x, v) * v; };
    const auto k = iota(n, DType::float64);
    const auto a = sin(3.0 * k + 1.0), b = cos(5.0 * k);
    const auto z = turned(turned(p[0], a / norm(a)), b / norm(b));
    return 0.5 * sum((k + 1.0) * square(z)) - sum(p[0]);
  });
}

struct Ran {
  std::vector<double> losses;      // of the accepted points, after each step
  std::vector<std::int64_t> news;  // the steps that found a new one
  Array last;                      // the last accepted point
};
Ran searched(const Problem& problem, const Optimizer& optimizer, std::int64_t steps) {
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  Ran ran;
  for (std::int64_t t = 0; t < steps; ++t) {
    stepper.step(t);
    const auto now = averages(problem, optimizer, stepper.state)[0];
    if (t == 0 || !identical(now, ran.last)) ran.news.push_back(t);
    ran.last = now.clone();
    ran.losses.push_back(loss_at(problem, ran.last));
  }
  return ran;
}

// With exact line searches it would be n; Wolfe's conditions take less care of each direction.
TEST(Lbfgs, EndsAQuadraticInAboutAsManyIterationsAsItHasVariables) {
  for (const std::int64_t n : {2, 8, 20}) {
    const auto problem = quadratic(n);
    const auto optimizer = lbfgs({.history = n + 2, .line_search = LineSearch::strong_wolfe});
    const auto ran = searched(problem, optimizer, 12 * n);
    std::size_t iterations = 0;
    const double least = ran.losses.back();
    while (iterations < ran.news.size() &&
           ran.losses[static_cast<std::size_t>(ran.news[iterations])] > least + 1e-9)
      ++iterations;
    EXPECT_LE(iterations, static_cast<std::size_t>(2 * n + 3)) << n;
    // It is the minimum: a small gradient in each component.
    const EagerScope scope({.check_finite = false});
    const auto g = grad(problem.loss)(Values{computed({ran.last}, false)})[0];
    EXPECT_LT(norm(g).item(), 1e-6) << n;  // rounding of a loss of some tens, its root
  }
}

TEST(Lbfgs, NeverAcceptsAHigherPoint) {
  auto problem = golden_problem(trajectories().at("problem"), DType::float64, false);
  const auto optimizer = lbfgs({.line_search = LineSearch::strong_wolfe, .c2 = 0.1});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  double before = INFINITY;
  for (std::int64_t t = 0; t < 60; ++t) {
    stepper.step(t);
    const EagerScope scope;
    Values at;
    for (const auto& a : averages(problem, optimizer, stepper.state))
      at.push_back(computed({a}, false));
    const double now = problem.loss(at).item();
    EXPECT_LE(now, before) << t;
    before = now;
  }
}

// x - log x is NaN below 0, and its curvature far out says to go there.
TEST(Lbfgs, StepsBackFromLossesThatAreNotFinite) {
  const auto problem = problem_of({30, 50}, [](ValueSpan p) { return sum(p[0] - log(p[0])); });
  const auto optimizer = lbfgs({.lr = 4.0, .line_search = LineSearch::strong_wolfe});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  int beyond = 0;
  for (std::int64_t t = 0; t < 60; ++t) {
    stepper.step(t);
    beyond += std::isfinite(loss_at(problem, stepper.state.parameters[0])) ? 0 : 1;
    for (const auto& a : stepper.state.optimizer) {
      for (const double x : a.to_vector()) ASSERT_TRUE(std::isfinite(x)) << t;
    }
  }
  EXPECT_GT(beyond, 0);  // so that the test means something
  const auto found = averages(problem, optimizer, stepper.state)[0];
  for (const double x : found.to_vector()) EXPECT_NEAR(x, 1, 1e-7);
}

// ---- the search by itself ----

struct Searched {
  double step = 0;
  int evaluations = 0;
  bool accepted = false;
};
using Phi = std::function<std::pair<double, double>(double t)>;
Searched search_along(const Phi& phi, double first, const WolfeOptions& options = {}) {
  const EagerScope scope({.check_finite = true});
  const auto number = [](double x) { return computed({Array::scalar(x)}, false); };
  Values state(WolfeSteps::kTensors, number(0));
  WolfeSteps search(state, options);
  const auto [value, slope] = phi(0);
  search.begin(number(1), number(value), number(slope), number(first));
  for (int n = 1; n <= 100; ++n) {
    const double t = search.trial().item();
    const auto [v, s] = phi(t);
    const bool finite = std::isfinite(v) && std::isfinite(s);
    const auto verdict =
        search.take(number(finite ? v : 0), number(finite ? s : 0), number(finite ? 1 : 0));
    if (verdict.accepted.item() != 0) return {t, n, true};
    if (verdict.failed.item() != 0) return {t, n, false};
  }
  return {0, 101, false};
}

TEST(WolfeSteps, FindWhatHoldsTheConditions) {
  const std::vector<std::pair<const char*, Phi>> functions = {
      {"parabola", [](double t) { return std::pair(t * (t - 2), 2 * t - 2); }},
      // Nocedal & Wright's references: More & Thuente 1994, (5.1) with beta = 2 and (5.2).
      {"more_thuente_1",
       [](double t) {
         const double d = t * t + 2;
         return std::pair(-t / d, (t * t - 2) / (d * d));
       }},
      {"more_thuente_2",
       [](double t) {
         const double b = 0.004, x = t + b;
         return std::pair(std::pow(x, 5) - 2 * std::pow(x, 4),
                          5 * std::pow(x, 4) - 8 * std::pow(x, 3));
       }},
      {"waves",
       [](double t) {
         return std::pair(-t + 0.9 * std::sin(3 * t) / 3 + 0.01 * t * t,
                          -1 + 0.9 * std::cos(3 * t) + 0.02 * t);
       }},
      {"barrier", [](double t) { return std::pair(-std::log(2 - t) - 3 * t, 1 / (2 - t) - 3); }},
  };
  for (const auto& [name, phi] : functions) {
    for (const double first : {1e-3, 0.1, 1.0, 10.0, 1e3}) {
      for (const double c2 : {0.9, 0.1, 0.001}) {
        const auto found = search_along(phi, first, {.c2 = c2, .max_evaluations = 60});
        const auto where = testing::Message() << name << ", first " << first << ", c2 " << c2;
        ASSERT_TRUE(found.accepted) << where;
        const auto [v0, s0] = phi(0);
        const auto [v, s] = phi(found.step);
        EXPECT_LE(v, v0 + 1e-4 * found.step * s0) << where;
        EXPECT_LE(std::abs(s), -c2 * s0) << where;
        EXPECT_LT(found.evaluations, 30) << where;
      }
    }
  }
}

TEST(WolfeSteps, EndAfterTheirEvaluations) {
  // Steeper and steeper: no slope is small. The lowest point is taken, evaluated again or not.
  const Phi falls = [](double t) { return std::pair(-t - t * t, -1 - 2 * t); };
  const auto far = search_along(falls, 1, {.max_evaluations = 5});
  EXPECT_TRUE(far.accepted);
  EXPECT_EQ(far.evaluations, 5);
  // Uphill in truth, whatever the slope says: nothing is lower.
  const Phi wrong = [](double t) { return std::pair(t, -1.0); };
  const auto none = search_along(wrong, 1, {.max_evaluations = 7});
  EXPECT_FALSE(none.accepted);
  EXPECT_EQ(none.evaluations, 7);
  // Nowhere a number.
  const Phi nan = [](double t) { return std::pair(t == 0 ? 0.0 : NAN, -1.0); };
  EXPECT_FALSE(search_along(nan, 1, {.max_evaluations = 7}).accepted);
  // The last evaluation is a bad one: one more, of the best.
  int calls = 0;
  const Phi tricky = [&](double t) {
    ++calls;
    if (t == 0) return std::pair(0.0, -1.0);
    return t < 0.5 ? std::pair(-t, -1.0) : std::pair(5.0, 9.0);
  };
  const auto back = search_along(tricky, 0.4, {.max_evaluations = 2});
  EXPECT_TRUE(back.accepted);
  EXPECT_DOUBLE_EQ(back.step, 0.4);
  EXPECT_EQ(back.evaluations, 3);
}

// ---- small batches ----

// f_B(x) = mean over the batch of sum_k h_k (x_k - c_bk)^2 / 2, h from 1 to 100: curvature is that
// of all rows, where the minimum lies is the batch's own.
ScalarFn noisy_quadratic(std::int64_t step) {
  constexpr std::int64_t kRows = 4, kSize = 6;
  Array centres(DType::float64, {kRows, kSize});
  for (std::int64_t i = 0; i < centres.size(); ++i)
    centres.set_item(i, 0.3 * std::sin(12.9898 * static_cast<double>(i + 1 + 31 * step)));
  return [centres](ValueSpan p) {
    const auto h = exp(std::log(100.0) / (kSize - 1) * iota(kSize, DType::float64));
    return 0.5 * mean(sum(h * square(p[0] - descent::constant(centres)), {1}));
  };
}

// The distance to the minimum without noise, mean of the last steps.
double distance_after(const Optimizer& optimizer, std::int64_t steps) {
  Problem problem = problem_of(std::vector<double>(6, 3.0), noisy_quadratic(0));
  State state = start_of(problem, optimizer);
  double sum = 0;
  for (std::int64_t t = 0; t < steps; ++t) {
    problem.loss = noisy_quadratic(t);
    state = eager_step(problem, optimizer, state, t);
    double squares = 0;
    for (const double x : state.parameters[0].to_vector()) squares += x * x;
    EXPECT_TRUE(std::isfinite(squares)) << t;
    if (t >= steps - 10) sum += std::sqrt(squares) / 10;
  }
  return sum;
}

// SGD's rate is bound by the largest curvature, 2 / 100; the smallest then takes hundreds of steps.
TEST(Lbfgs, OfOneBatchBeatsSgdOnANoisyQuadratic) {
  const Rate falling = [](std::int64_t t) { return 1.0 / (1.0 + 0.02 * static_cast<double>(t)); };
  const double own = distance_after(lbfgs({.lr = falling, .pairs = PairsOf::same_batch}), 60);
  double best = INFINITY;
  for (const double lr : {0.003, 0.01, 0.015, 0.019})
    best = std::min(best, distance_after(sgd({.lr = lr}), 60));
  EXPECT_LT(own, best / 2);
  EXPECT_LT(own, 0.4);  // of 7.3; one batch of 4 says where the minimum is to 0.26
}

// Pairs without positive curvature, and of gradients that are not finite, are left out.
TEST(Lbfgs, OfOneBatchLeavesOutPairsWithoutCurvature) {
  const auto count = [](const Problem& problem, int steps, double lr = 1.0) {
    const auto optimizer = lbfgs({.lr = lr, .pairs = PairsOf::same_batch});
    Stepper stepper(problem, optimizer, start_of(problem, optimizer));
    for (std::int64_t t = 0; t < steps; ++t) stepper.step(t);
    return stepper.state.optimizer[4].item();
  };
  EXPECT_EQ(count(problem_of({1, 2}, [](ValueSpan p) { return -sum(square(p[0])); }), 3), 0);
  EXPECT_EQ(count(problem_of({1, 2}, [](ValueSpan p) { return sum(square(p[0])); }), 3), 3);
  // The first step ends below 0, where the root is NaN.
  EXPECT_EQ(count(problem_of({4}, [](ValueSpan p) { return sum(p[0] - sqrt(p[0])); }), 1, 10), 0);
}

// ---- constructors and errors ----

TEST(Lbfgs, ConstructorIsWhatTheRegistryMakes) {
  const auto problem = golden_problem(trajectories().at("problem"), DType::float64, false);
  const auto expect_same = [&](const Json& options, const Optimizer& direct) {
    const auto made = optimizer_from("lbfgs", options, nullptr, 0);
    State a = start_of(problem, made), b = start_of(problem, direct);
    for (std::int64_t t = 0; t < 6; ++t) {
      a = eager_step(problem, made, a, t);
      b = eager_step(problem, direct, b, t);
    }
    EXPECT_TRUE(a == b) << options;
  };
  expect_same(Json::object(), lbfgs());
  expect_same({{"lr", 0.1}, {"history", 3}, {"weight_decay", 0.1}, {"l2", 0.2}, {"damping", 0.1}},
              lbfgs({.lr = 0.1, .history = 3, .damping = 0.1, .l2 = 0.1 + 0.2}));
  expect_same({{"line_search", "strong_wolfe"},
               {"c1", 0.01},
               {"c2", 0.2},
               {"decay_all", true},
               {"l2", 0.2},
               {"max_evaluations", 3}},
              lbfgs({.line_search = LineSearch::strong_wolfe,
                     .c1 = 0.01,
                     .c2 = 0.2,
                     .max_evaluations = 3,
                     .l2 = 0.2,
                     .decayed = every_parameter}));
  expect_same({{"pairs", "same_batch"}, {"damping", 0.1}},
              lbfgs({.pairs = PairsOf::same_batch, .damping = 0.1}));
}

// History 1 is the smallest, and there is nothing to do without parameters.
TEST(Lbfgs, TakesTheEdgesOfItsOptions) {
  for (const auto search : {LineSearch::none, LineSearch::strong_wolfe}) {
    const auto problem = quadratic(3);
    const auto optimizer = lbfgs({.lr = 0.1, .history = 1, .line_search = search});
    Stepper stepper(problem, optimizer, start_of(problem, optimizer));
    const double before = loss_at(problem, stepper.state.parameters[0]);
    for (std::int64_t t = 0; t < 30; ++t) stepper.step(t);
    EXPECT_LT(loss_at(problem, stepper.state.parameters[0]), before);
    EXPECT_TRUE(optimizer->state({}).empty());
    const std::vector<Parameter> none;
    EXPECT_TRUE(apply_optimizer(optimizer, none, {}, {}, {}, Values{Value()}).parameters.empty());
  }
}

TEST(Lbfgs, RefusesWhatHasNoMeaning) {
  const auto refused = [](const Json& options) {
    return error_of([&] { optimizer_from("lbfgs", options, nullptr, 0); });
  };
  const Json search = {{"line_search", "strong_wolfe"}};
  for (const Json& more :
       {Json{{"clip_norm", 1.0}}, Json{{"l1", 0.1}}, Json{{"sam", 0.1}}, Json{{"centralize", true}},
        Json{{"prox", "l1:0.1"}}, Json{{"ema_decay", 0.9}}, Json{{"lookahead_steps", 5}}}) {
    Json all = search;
    all.update(more);
    EXPECT_THAT(refused(all), HasSubstr("leave out " + more.begin().key()));
  }
  Json both = search;
  both["pairs"] = "same_batch";
  EXPECT_THAT(refused(both), HasSubstr("for small batches"));
  EXPECT_THAT(refused({{"c1", 0.5}, {"c2", 0.4}}), HasSubstr("0 < c1 < c2 < 1"));
  EXPECT_THAT(error_of([] { lbfgs({.history = 0}); }), HasSubstr("history must be greater than 0"));
  const auto wolfe = lbfgs({.line_search = LineSearch::strong_wolfe});
  EXPECT_THAT(error_of([&] {
                chain({wolfe, scale(1)});
              }),
              HasSubstr("nothing may follow a search"));
  EXPECT_THAT(error_of([&] {
                partition({{{"w"}, wolfe, {}}}, sgd());
              }),
              HasSubstr("a search needs all parameters together"));
  const auto fed = golden_problem(trajectories().at("problem"), DType::float64, true);
  EXPECT_THAT(error_of([&] { eager_step(fed, wolfe, start_of(fed, wolfe), 0); }),
              HasSubstr("lbfgs needs the loss of the step"));
}

TEST(Lbfgs, SaysWhichBatchesItIsFor) {
  const auto wolfe = lbfgs({.line_search = LineSearch::strong_wolfe});
  EXPECT_EQ(lbfgs()->batches(), Batches::full_wanted);
  EXPECT_EQ(wolfe->batches(), Batches::full_needed);
  EXPECT_EQ(lbfgs({.pairs = PairsOf::same_batch})->batches(), Batches::any);
  EXPECT_EQ(chain({clip_by_global_norm(1), lbfgs()})->batches(), Batches::full_wanted);
  EXPECT_EQ(partition({{{"w"}, lbfgs(), {}}}, sgd())->batches(), Batches::full_wanted);
  EXPECT_TRUE(chain({clip_by_global_norm(1), wolfe})->searches());
}

}  // namespace
}  // namespace descent::optim::test
