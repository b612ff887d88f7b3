// The optimizers of more_optimizers.h beyond their trajectories: constructors, state, averages, and
// what each is known for.
#include <gmock/gmock.h>

#include "descent/base/error.h"
#include "descent/optim/more_optimizers.h"
#include "tests/optim/stepper.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

Problem network(DType dtype = DType::float64) {
  return golden_problem(trajectories().at("problem"), dtype, false);
}

TEST(MoreOptimizers, AreWhatTheRegistryMakes) {
  const Json none = Json::object();
  const std::vector<std::tuple<std::string, Json, Optimizer>> pairs = {
      {"adadelta", none, adadelta()},
      {"adamax", none, adamax()},
      {"nadam", none, nadam()},
      {"radam", none, radam()},
      {"adabelief", none, adabelief()},
      {"yogi", none, yogi()},
      {"adan", none, adan()},
      {"lion", none, lion()},
      {"signum", none, signum()},
      {"signsgd", none, signum({.momentum = 0})},
      {"rprop", none, rprop()},
      {"asgd", none, asgd()},
      {"ftrl", none, ftrl()},
      {"nesterov", none, nesterov()},
      {"lamb", none, lamb()},
      {"lars", none, lars()},
      {"adafactor", none, adafactor()},
      {"sm3", none, sm3()},
      {"exponentiated_gradient", none, exponentiated_gradient()},
      {"adadelta",
       {{"rho", 0.5}, {"weight_decay", 0.1}},
       adadelta({.rho = 0.5, .weight_decay = 0.1})},
      {"nadam",
       {{"convention", "keras"}, {"eps", 1e-8}, {"momentum_decay", 0.004}, {"weight_decay", 0.1}},
       nadam({.weight_decay = 0.1, .convention = Convention::keras})},
      {"radam",
       {{"weight_decay", 0.1}, {"decoupled_weight_decay", true}},
       radam({.weight_decay = 0.1, .decoupled = true})},
      {"ftrl", {{"l1", 0.1}, {"l2", 0.2}}, ftrl({.l1 = 0.1, .l2 = 0.2})},
      {"lamb",
       {{"weight_decay", 0.1}, {"decay_all", true}},
       lamb({.weight_decay = 0.1, .decayed = every_parameter})},
      {"lars",
       {{"weight_decay", 0.1}, {"nesterov", true}},
       lars({.nesterov = true, .weight_decay = 0.1})},
      {"adafactor",
       {{"weight_decay", 0.1}, {"eps1", 0.1}},
       adafactor({.eps1 = 0.1, .weight_decay = 0.1})},
      {"sgd",
       {{"convention", "keras"}, {"momentum", 0.9}, {"weight_decay", 0.1}},
       sgd({.momentum = 0.9, .weight_decay = 0.1, .convention = Convention::keras})},
      {"adam",
       {{"convention", "keras"}, {"weight_decay", 0.1}},
       adam({.eps = 1e-7, .weight_decay = 0.1, .convention = Convention::keras})},
      {"adamw", {{"convention", "paper"}}, adamw({.convention = Convention::paper})},
      {"adagrad",
       {{"convention", "keras"}},
       adagrad({.initial_accumulator = 0.1, .eps = 1e-7, .convention = Convention::keras})},
      {"rmsprop",
       {{"convention", "keras"}, {"momentum", 0.5}},
       rmsprop({.alpha = 0.9, .eps = 1e-7, .momentum = 0.5, .convention = Convention::keras})},
  };
  const auto problem = network();
  for (const auto& [name, options, direct] : pairs) {
    const auto made = optimizer_from(name, options, nullptr, 0);
    State a = start_of(problem, made), b = start_of(problem, direct);
    for (std::int64_t t = 0; t < 3; ++t) {
      a = eager_step(problem, made, a, t);
      b = eager_step(problem, direct, b, t);
    }
    EXPECT_TRUE(a == b) << name << " " << options;
  }
}

// An update that does not depend on the data between elements is one tile program for each tensor;
// the signs, masks and clamps of these rules must not break it.
TEST(MoreOptimizers, ElementwiseRulesFuse) {
  Problem problem;
  problem.info = {{"p", {DType::float32, {1000}, false}}};
  problem.start = {Array(DType::float32, {1000})};
  problem.fed = {{Array(DType::float32, {1000})}};
  for (const char* name :
       {"adadelta", "adamax", "nadam", "radam", "adabelief", "yogi", "adan", "lion", "signum",
        "signsgd", "rprop", "asgd", "ftrl", "nesterov", "exponentiated_gradient"}) {
    const auto optimizer = optimizer_from(name, Json::object(), nullptr, 0);
    Stepper stepper(problem, optimizer, start_of(problem, optimizer));
    EXPECT_EQ(stepper.plan().statistics().kernels, 1) << name;
  }
}

// The average begins after t0 steps: it is the mean of the parameters after those steps.
TEST(Asgd, OffersTheMeanOfItsIterates) {
  const auto problem = network();
  const auto optimizer = asgd({.lr = 0.05, .t0 = 3});
  State state = start_of(problem, optimizer);
  std::vector<double> sum(12);
  for (std::int64_t t = 0; t < 20; ++t) {
    state = eager_step(problem, optimizer, state, t);
    if (t < 4) continue;  // the step with t - t0 = 1 is the first that counts
    const auto w = state.parameters[0].to_vector();
    for (std::size_t i = 0; i < w.size(); ++i) sum[i] += w[i];
  }
  const EagerScope scope;
  Values parameters, own;
  for (const auto& a : state.parameters) parameters.push_back(computed({a}, false));
  for (const auto& a : state.optimizer) own.push_back(computed({a}, false));
  const auto averaged = optimizer->averaged(parameters, own, problem.info);
  ASSERT_EQ(averaged.size(), 3U);
  const auto got = averaged[0].array().to_vector();
  // 16 additions in another order than the running mean's: some 1e-15.
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], sum[i] / 16, 1e-13);
  EXPECT_TRUE(sgd()->averaged(parameters, {}, problem.info).empty());
}

// f(x) = 1/2 sum c_i (x_i - 1)^2, eigenvalues c from `low` to 1, from x = 0.
Problem quadratic(double low, std::int64_t n = 20) {
  Problem problem;
  problem.info = {{"x", {DType::float64, {n}, false}}};
  problem.start = {Array(DType::float64, {n})};
  std::vector<double> c;
  for (std::int64_t i = 0; i < n; ++i) {
    c.push_back(std::pow(low, static_cast<double>(i) / static_cast<double>(n - 1)));
  }
  problem.loss = [c, n](ValueSpan p) {
    return 0.5 * sum(descent::constant(Array::from(c, {n})) * square(p[0] - 1.0));
  };
  return problem;
}

double excess(const Problem& problem, const Array& x) {
  const EagerScope scope;
  return problem.loss(Values{computed({x}, false)}).array().item();
}

// Nesterov's bound for t / (t + 3) and lr = 1 / L: f - f* <= 2 L |x0 - x*|^2 / (t + 1)^2, here with
// L = 1 and |x0 - x*|^2 = 20; and gradient descent, whose error falls as 1 / t only, is far above.
TEST(Nesterov, MeetsItsRateOnConvexFunctions) {
  const auto problem = quadratic(1e-6);
  const auto fast = nesterov({.lr = 1.0, .convex = true}), slow = sgd({.lr = 1.0});
  Stepper a(problem, fast, start_of(problem, fast)), b(problem, slow, start_of(problem, slow));
  for (std::int64_t t = 0; t < 300; ++t) {
    a.step(t);
    b.step(t);
    const double steps = static_cast<double>(t) + 2;
    EXPECT_LE(excess(problem, a.state.parameters[0]), 2 * 20 / (steps * steps));
  }
  EXPECT_LT(excess(problem, a.state.parameters[0]), 0.2 * excess(problem, b.state.parameters[0]));
}

// With condition number k and momentum (sqrt k - 1) / (sqrt k + 1) the error falls at least by
// 1 - 1 / sqrt k a step, where gradient descent has 1 - 1 / k.
TEST(Nesterov, MeetsItsRateOnStronglyConvexFunctions) {
  const auto problem = quadratic(1e-2);  // k = 100
  const auto optimizer = nesterov({.lr = 1.0, .momentum = 9.0 / 11});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  const double start = excess(problem, problem.start[0]) + 0.5 * 1e-2 * 20;  // Lyapunov function
  for (std::int64_t t = 0; t < 200; ++t) {
    stepper.step(t);
    EXPECT_LE(excess(problem, stepper.state.parameters[0]),
              4 * start * std::pow(0.9, static_cast<double>(t) + 1));  // 4: at the look-ahead point
  }
}

// A gradient that only changes its sign leaves an element exactly 0, since |z| stays below lr l1;
// one that keeps it moves as soon as it has summed up to l1.
TEST(Ftrl, GivesExactZeros) {
  Problem problem;
  problem.info = {{"x", {DType::float64, {2}, false}}};
  problem.start = {Array(DType::float64, {2})};
  for (int t = 0; t < 50; ++t) {
    problem.fed.push_back({Array::from<double>({t % 2 == 0 ? 1.0 : -1.0, -1.0}, {2})});
  }
  const auto optimizer = ftrl({.lr = 0.5, .l1 = 2.5});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  for (std::int64_t t = 0; t < 50; ++t) {
    stepper.step(t);
    const auto x = stepper.state.parameters[0].to_vector();
    EXPECT_EQ(x[0], 0) << t;
    if (t < 2) {
      EXPECT_EQ(x[1], 0) << t;
    } else {
      EXPECT_GT(x[1], 0) << t;
    }
  }
}

// Rprop's steps on |x| grow by 1.2 until the sign changes; then the step is halved and skipped.
TEST(Rprop, GrowsAndHalvesItsSteps) {
  Problem problem;
  problem.info = {{"x", {DType::float64, {1}, false}}};
  problem.start = {Array(DType::float64, {1})};
  for (const double g : {1.0, 3.0, 0.0, 1.0, -2.0, -2.0, -5.0}) {
    problem.fed.push_back({Array::from<double>({g}, {1})});
  }
  const auto optimizer = rprop({.lr = 1});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  std::vector<double> x;
  for (std::int64_t t = 0; t < 7; ++t) {
    stepper.step(t);
    x.push_back(stepper.state.parameters[0].item());
  }
  // 1, then 1.2; still at 0; 1.2 after a zero; the sign changes: nothing, 0.6; then 0.6, 0.72.
  const std::vector<double> expected{-1, -2.2, -2.2, -3.4, -3.4, -2.8, -2.08};
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-14);
}

TEST(Lamb, StepIsThePartOfTheNormThatTheRateSays) {
  const auto problem = network();
  const auto optimizer = lamb({.lr = 0.01});
  const auto next = eager_step(problem, optimizer, start_of(problem, optimizer), 0);
  for (std::size_t i = 0; i < 3; ++i) {
    double size = 0, step = 0;
    const auto before = problem.start[i].to_vector(), after = next.parameters[i].to_vector();
    for (std::size_t k = 0; k < before.size(); ++k) {
      size += before[k] * before[k];
      step += (after[k] - before[k]) * (after[k] - before[k]);
    }
    EXPECT_NEAR(std::sqrt(step), 0.01 * std::sqrt(size), 1e-14);
  }
}

std::int64_t elements(const Optimizer& optimizer, const std::vector<Parameter>& info) {
  std::int64_t n = 0;
  for (const auto& tensor : optimizer->state(info)) n += tensor.type.shape.size();
  return n;
}

TEST(State, OfFactoredOptimizersIsSmall) {
  const std::vector<Parameter> info{{"w", {DType::float32, {300, 200}, false}},
                                    {"b", {DType::float32, {200}, false}, false},
                                    {"scale", {DType::float32, {}, false}, false}};
  EXPECT_EQ(elements(adafactor(), info), 300 + 200 + 200 + 1);
  EXPECT_EQ(elements(sm3({.momentum = 0}), info), 300 + 200 + 200 + 1);
  EXPECT_EQ(elements(sm3(), info), 300 + 200 + 200 + 1 + 60000 + 200 + 1);
  EXPECT_EQ(elements(adam(), info), 2 * (60000 + 200 + 1));
  std::vector<std::string> names;
  for (const auto& tensor : adafactor()->state(info)) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::ElementsAre("0.adafactor.row.w", "0.adafactor.v.b",
                                          "0.adafactor.v.scale", "0.adafactor.column.w"));
}

TEST(MoreOptimizers, ErrorsSayWhatToDo) {
  using descent::test::error_of;
  using testing::HasSubstr;
  EXPECT_THAT(error_of([] { nadam({.b2 = 1}); }), HasSubstr("beta2 must be at least 0 and less"));
  EXPECT_THAT(error_of([] { rprop({.eta_plus = 1}); }),
              HasSubstr("eta_plus must be greater than 1"));
  EXPECT_THAT(error_of([] { ftrl({.l1 = -1}); }), HasSubstr("l1 must be at least 0"));
  EXPECT_THAT(error_of([] {
                optimizer_from("sgd",
                               {{"convention", "keras"}, {"momentum", 0.9}, {"dampening", 0.1}},
                               nullptr, 0);
              }),
              HasSubstr("only convention = \"torch\" has a dampening"));
  EXPECT_THAT(error_of([] {
                optimizer_from("rmsprop", {{"convention", "paper"}}, nullptr, 0);
              }),
              HasSubstr("torch"));
}

}  // namespace
}  // namespace descent::optim::test
