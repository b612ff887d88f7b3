// Optimizers whose state is matrices, and clipping beside the global norm. Their trajectories on
// the common problem, resume and fusion are rows of tests/golden/optim_matrix_golden.py.
#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/base/threads.h"
#include "descent/optim/partition.h"
#include "tests/optim/stepper.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

using descent::test::error_of;

using testing::HasSubstr;

// Tensors of three and four axes, with gradients that are fed.
Problem tensors(DType dtype) {
  const Json& json = trajectories().at("tensor");
  Problem problem;
  std::vector<Shape> shapes;
  for (const auto& s : json.at("shapes")) {
    shapes.emplace_back(s.get<std::vector<std::int64_t>>());
    const auto name = "t" + std::to_string(problem.info.size());
    problem.start.push_back(array_of(json.at("start")[problem.info.size()], shapes.back(), dtype));
    problem.info.push_back({name, {dtype, shapes.back(), false}});
  }
  for (const auto& step : json.at("fed")) {
    auto& gradients = problem.fed.emplace_back();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      gradients.push_back(array_of(step[i], shapes[i], dtype));
    }
  }
  return problem;
}

TEST(MatrixOptimizers, TakeTensorsOfMoreAxes) {
  int row = 0;
  for (const auto& json : trajectories().at("tensor").at("rows")) {
    for (const auto dtype : {DType::float64, DType::float32}) {
      const auto problem = tensors(dtype);
      const auto optimizer = optimizer_from(json.at("name"), json.at("options"), nullptr, 0);
      Stepper stepper(problem, optimizer, start_of(problem, optimizer));
      for (std::size_t t = 0; t < problem.fed.size(); ++t) {
        stepper.step(static_cast<std::int64_t>(t));
      }
      for (std::size_t i = 0; i < problem.start.size(); ++i) {
        const auto want = json.at("end")[i].get<std::vector<double>>();
        for (std::size_t k = 0; k < want.size(); ++k) {
          // Parameters of size 1 after 25 steps: roundings of 1e-16 (6e-8), times the condition of
          // the bases (gaps between eigenvalues of some percent).
          EXPECT_NEAR(stepper.state.parameters[i].item(static_cast<std::int64_t>(k)), want[k],
                      dtype == DType::float64 ? 1e-11 : 1e-3)
              << "row " << row << ", tensor " << i << ", element " << k;
        }
      }
    }
    ++row;
  }
  EXPECT_EQ(row, 4);
}

// The problem over shards, so that threads have something to do.
Problem sharded() {
  Problem problem;
  const auto values = [](std::int64_t n, double scale) {
    std::vector<double> all;
    for (std::int64_t i = 0; i < n; ++i) {
      all.push_back(scale * static_cast<double>((37 * i + 11) % 101 - 50) / 50);
    }
    return all;
  };
  problem.info = {{"layer.weight", {DType::float32, {12, 17}, false}},
                  {"layer.bias", {DType::float32, {12}, false}}};
  problem.start = {Array::from(values(12 * 17, 0.3), {12, 17}).cast(DType::float32),
                   Array(DType::float32, {12})};
  problem.loss = [x = Array::from(values(20 * 17, 1), {20, 17}).cast(DType::float32)](ValueSpan p) {
    const Value rows = to_shards(descent::constant(x));
    return batch_mean(square(tanh(matmul(rows, p[0], false, true) + p[1]) - 0.3));
  };
  return problem;
}

TEST(MatrixOptimizers, DoNotDependOnTheNumberOfThreads) {
  const std::vector<std::pair<std::string, Json>> all = {
      {"shampoo", {{"refresh", 3}}},
      {"soap", {{"refresh", 3}}},
      {"kfac", {{"refresh", 3}}},
      {"sgd", {{"clip_percentile", 50.0}, {"clip_adaptive", 0.1}, {"clip_each", 0.1}}}};
  for (const auto& [name, options] : all) {
    const auto problem = sharded();
    const auto optimizer = optimizer_from(name, options, nullptr, 0);
    std::vector<State> ends;
    for (const int threads : {1, 2, 4}) {
      CompileOptions compiled;
      compiled.shards = 4;
      compiled.pool = std::make_shared<ThreadPool>(threads);
      Stepper stepper(problem, optimizer, start_of(problem, optimizer), compiled);
      for (std::int64_t t = 0; t < 8; ++t) stepper.step(t);
      ends.push_back(stepper.state.clone());
    }
    EXPECT_TRUE(ends[0] == ends[1]) << name << ", two threads";
    EXPECT_TRUE(ends[0] == ends[2]) << name << ", four threads";
  }
}

// Where the moments are one gradient's, L^-1/4 G R^-1/4 has the singular values 1: it is the
// nearest orthogonal matrix.
TEST(Shampoo, FirstStepIsOrthogonal) {
  Problem problem;
  problem.info = {{"w", {DType::float64, {3, 3}, false}}};
  problem.start = {Array(DType::float64, {3, 3})};
  problem.fed = {{Array::from<double>({4, 1, 0, -2, 3, 1, 0.5, 0, 2}, {3, 3})}};
  const auto optimizer = shampoo({.lr = 1, .scale = {.eps = 1e-14}});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  stepper.step(0);
  const auto w = stepper.state.parameters[0].to_vector();
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      double product = 0;
      for (std::size_t k = 0; k < 3; ++k) product += w[3 * i + k] * w[3 * j + k];
      EXPECT_NEAR(product, i == j ? 1 : 0, 1e-12);  // eps over the least eigenvalue
    }
  }
}

// A convolution and a linear layer: mean((tanh(conv(x)) W^T + b - y)^2).
Problem images(DType dtype) {
  const Json& json = trajectories().at("kfac");
  Problem problem;
  const char* names[] = {"0.weight", "0.bias", "2.weight", "2.bias"};
  for (std::size_t i = 0; i < 4; ++i) {
    const Shape shape(json.at("shapes")[i].get<std::vector<std::int64_t>>());
    problem.info.push_back({names[i], {dtype, shape, false}, i % 2 == 0});
    problem.start.push_back(array_of(json.at("start")[i], shape, dtype));
  }
  problem.loss = [x = array_of(json.at("x"), {5, 2, 6, 6}, dtype),
                  y = array_of(json.at("y"), {5, 2}, dtype)](ValueSpan p) {
    const Value s =
        conv2d(descent::constant(x), p[0], {.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1});
    const Value hidden = flatten(tanh(s + reshape(p[1], {3, 1, 1})));
    return mean(square(matmul(hidden, p[2], false, true) + p[3] - descent::constant(y)));
  };
  return problem;
}

TEST(Kfac, IsThatOfAnIndependentImplementation) {
  const Json& json = trajectories().at("kfac");
  int row = 0;
  for (const auto& expected : json.at("rows")) {
    for (const auto dtype : {DType::float64, DType::float32}) {
      const auto problem = images(dtype);
      const auto optimizer = optimizer_from("kfac", expected.at("options"), nullptr, 0);
      Stepper stepper(problem, optimizer, start_of(problem, optimizer));
      for (std::int64_t t = 0; t < json.at("steps").get<std::int64_t>(); ++t) stepper.step(t);
      for (std::size_t i = 0; i < 4; ++i) {
        const auto want = expected.at("end")[i].get<std::vector<double>>();
        for (std::size_t k = 0; k < want.size(); ++k) {
          // Roundings of parameters of size 1, times the condition of the damped factors (some
          // 1e3).
          EXPECT_NEAR(stepper.state.parameters[i].item(static_cast<std::int64_t>(k)), want[k],
                      dtype == DType::float64 ? 1e-11 : 2e-3)
              << "row " << row << ", parameter " << i << ", element " << k;
        }
      }
    }
    ++row;
  }
  EXPECT_EQ(row, 2);
}

TEST(Kfac, ResumesAndFusesBitForBit) {
  const auto problem = images(DType::float32);
  const Json options = {{"refresh", 4}, {"observe", 3}, {"lr", 0.05}};
  const auto optimizer = optimizer_from("kfac", options, nullptr, 0);
  Stepper whole(problem, optimizer, start_of(problem, optimizer), {.verify = true});
  State eager = start_of(problem, optimizer), middle;
  for (std::int64_t t = 0; t < 10; ++t) {
    whole.step(t);
    eager = eager_step(problem, optimizer, eager, t);
    ASSERT_TRUE(whole.state == eager) << "step " << t;
    if (t == 4) middle = whole.state.clone();
  }
  Stepper rest(problem, optimizer_from("kfac", options, nullptr, 0), middle);
  for (std::int64_t t = 5; t < 10; ++t) rest.step(t);
  EXPECT_TRUE(rest.state == whole.state);
}

// A linear layer with the squared error has the Fisher matrix A x G, exactly; it is the Hessian, so
// that one step of length 1 from anywhere ends in the minimum, where the gradient is 0.
TEST(Kfac, IsNewtonsStepForLeastSquares) {
  const EagerScope scope;
  const std::vector<Parameter> info{{"weight", {DType::float64, {2, 3}, false}},
                                    {"bias", {DType::float64, {2}, false}}};
  const Value x = computed(
                  {Array::from<double>(
                      {1, 2, 0, -1, 0.5, 1, 2, -2, 1, 0, 1, 3, 1, 1, -1, 0.5, -1, 2}, {6, 3})},
                  false),
              y = computed({Array::from<double>({1, 0, 2, -1, 0, 3, 1, 1, -2, 0, 4, 1}, {6, 2})},
                           false),
              // The mean of their outer products is the identity: the noise of variance n / 2 = 1
              // that targets of the model's distribution have.
      noise =
          computed({Array::from<double>({1, 1, 1, -1, -1, 1, 1, 1, -1, -1, 1, -1}, {6, 2})}, false);
  const auto output = [&](ValueSpan p) { return matmul(x, p[0], false, true) + p[1]; };
  const ScalarFn loss = [&](ValueSpan p) { return mean(square(output(p) - y)); };
  const Values p{computed({Array::from<double>({5, -3, 1, 2, 0, 7}, {2, 3})}, false),
                 computed({Array::from<double>({4, -4}, {2})}, false)};
  const auto optimizer = kfac({.lr = 1, .scale = {.damping = 1e-20, .momentum = 0, .kl_clip = 0}});
  Values state, scalars;
  for (const auto& t : optimizer->state(info)) state.push_back(zeros(t.type));
  for (const auto& s : optimizer->scalars(DType::float64)) {
    scalars.push_back(computed({Array::scalar(s.at(0))}, false));
  }
  auto g = value_and_grad(loss)(p);
  const UpdateContext context{.parameters = p,
                              .info = info,
                              .scalars = scalars,
                              .variant = optimizer->variant(0),
                              .loss = g[0],
                              .sampled_loss = [&] {
                                const Value s = output(p);
                                return mean(square(s - stop_gradient(s) - noise));
                              }};
  const auto next = apply_optimizer(optimizer, ValueSpan(g).subspan(1), state, context);
  const auto before = grad(loss)(p), after = grad(loss)(next.parameters);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_GT(norm(before[i]).item(), 1);
    // The root of the damping over the factors' least eigenvalues.
    EXPECT_LT(norm(after[i]).item(), 1e-8);
  }
}

// Each unit of a matrix is a row; a vector is one unit; small weights count as eps.
TEST(ClipAdaptive, ScalesUnits) {
  Problem problem;
  problem.info = {{"w", {DType::float64, {2, 2}, false}}, {"b", {DType::float64, {2}, false}}};
  problem.start = {Array::from<double>({3, 4, 0, 0}, {2, 2}), Array::from<double>({6, 8}, {2})};
  problem.fed = {
      {Array::from<double>({0, 2, 0.03, 0.04}, {2, 2}), Array::from<double>({0.6, 0.8}, {2})}};
  const auto optimizer = chain({clip_adaptive(0.1, 0.01), scale(-1)});
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  stepper.step(0);
  const auto w = stepper.state.parameters[0].to_vector(),
             b = stepper.state.parameters[1].to_vector();
  // To 0.1 of the norm 5; to 0.1 of 0.01, from 0.05; and 1 at 10 is small enough.
  const std::vector<double> want{3, 4 - 0.5, -0.0006, -0.0008};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(w[i], want[i], 1e-15);
  EXPECT_EQ(b, (std::vector<double>{6 - 0.6, 8 - 0.8}));
}

TEST(MatrixOptimizers, RefuseWhatMakesNoSense) {
  EXPECT_THAT(error_of([] { shampoo({.scale = {.beta2 = 1.5}}); }), HasSubstr("beta2 must be"));
  EXPECT_THAT(error_of([] { shampoo({.scale = {.eps = 0}}); }), HasSubstr("eps must be greater"));
  EXPECT_THAT(error_of([] { soap({.scale = {.refresh = 0}}); }), HasSubstr("refresh must be"));
  EXPECT_THAT(error_of([] { kfac({.scale = {.damping = 0}}); }), HasSubstr("damping must be"));
  EXPECT_THAT(error_of([] { clip_each(0); }), HasSubstr("max_norm must be greater than 0"));
  EXPECT_THAT(error_of([] { clip_adaptive(0); }), HasSubstr("ratio must be greater than 0"));
  EXPECT_THAT(error_of([] { clip_by_percentile(101); }), HasSubstr("must be at least 0"));
}

// Norms of all parameters together stay so where there are groups.
TEST(ClipPercentile, IsOverAllGroups) {
  const auto& entry = optimizers().at("sgd");
  const auto options =
      resolve(entry.options,
              options_of({{"lr", 0.1}, {"clip_percentile", 40.0}, {"clip_window", 5}}), "sgd");
  const auto problem = golden_problem(trajectories().at("problem"), DType::float64, true);
  const auto plain = entry.make(options, constant(0.1));
  const auto parts = grouped("sgd", options, constant(0.1),
                             {{.match = {"w"}, .weight_decay = {}, .schedule = constant(0.1)}});
  Stepper a(problem, plain, start_of(problem, plain)), b(problem, parts, start_of(problem, parts));
  for (std::int64_t t = 0; t < 9; ++t) {
    a.step(t);
    b.step(t);
  }
  EXPECT_TRUE(std::ranges::equal(a.state.parameters, b.state.parameters, identical));
}

}  // namespace
}  // namespace descent::optim::test
