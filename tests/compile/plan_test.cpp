#include "descent/compile/plan.h"

#include <gmock/gmock.h>

#include <sstream>

#include "descent/base/error.h"
#include "descent/compile/passes.h"
#include "tests/support/allocations.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

using testing::HasSubstr;

// Two layers, softmax cross-entropy, momentum: a training step with state, in whole-batch form.
// Inputs: w1, b1, w2, v1 (momentum of w1), x, labels. Outputs: the new w1, b1, w2, v1, the loss.
Values training_step(ValueSpan in) {
  const auto loss = [&](ValueSpan p) {
    const Value h = tanh(matmul(in[4], p[0]) + p[1]);
    const Value logits = matmul(h, p[2]);
    return batch_mean(-sum(one_hot(in[5], 3) * log_softmax(logits), {1}));
  };
  const Values g = value_and_grad(loss)(in.first(3));
  const Value clip =
      minimum(1.0 / (sqrt(dot(g[1], g[1]) + dot(g[2], g[2]) + dot(g[3], g[3])) + 1e-6), 1.0);
  const Value v = 0.9 * in[3] + clip * g[1];
  return {in[0] - 0.1 * v, in[1] - 0.1 * (clip * g[2]), in[2] - 0.1 * (clip * g[3]), v, g[0]};
}

struct Problem {
  std::int64_t features, hidden = 300, rows = 24;
  std::vector<Array> state, batch;
  explicit Problem(std::int64_t inputs = 20) : features(inputs) {
    state = {random_array({features, hidden}, 1, -0.3, 0.3, DType::float32),
             random_array({hidden}, 2, -0.3, 0.3, DType::float32),
             random_array({hidden, 3}, 3, -0.3, 0.3, DType::float32),
             Array(DType::float32, {features, hidden})};
    batch = {random_array({rows, features}, 4, -1, 1, DType::float32), Array(DType::int64, {rows})};
    for (std::int64_t i = 0; i < rows; ++i) batch[1].set_item(i, static_cast<double>(i % 3));
  }
  Plan plan(int shards, int threads, const CompileOptions& more = {}) {
    std::vector<PlanInput> inputs;
    for (auto& a : state) {
      a = a.clone();
      inputs.push_back({{a.dtype(), a.shape(), false}, "state", a});
    }
    for (const auto& a : batch) {
      Shape s = a.shape();
      s[0] /= shards;
      inputs.push_back({{a.dtype(), s, true}, "batch", a});
    }
    CompileOptions options = more;
    options.shards = shards;
    options.donate = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};
    options.verify = true;
    if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
    return compile(training_step, inputs, options);
  }
};

std::vector<Array> train(int shards, int threads, int steps, const CompileOptions& more = {}) {
  Problem s;
  Plan plan = s.plan(shards, threads, more);
  for (int i = 0; i < steps; ++i) plan.run();
  std::vector<Array> result;
  for (int i = 0; i < 5; ++i) result.push_back(plan.output(i).clone());
  return result;
}

TEST(Plan, SameBytesForAnyNumberOfThreads) {
  for (const int shards : {1, 2, 3, 4}) {
    const auto one = train(shards, 1, 20);
    EXPECT_LT(one[4].item(), 1.0) << "the step does not learn";
    for (const int threads : {2, 3, 4})
      expect_identical(one, train(shards, threads, 20), "shards " + std::to_string(shards));
  }
}

TEST(Plan, ShardsChangeRoundingOnly) {
  const auto one = train(1, 1, 20), four = train(4, 1, 20);
  // 20 float32 steps whose sums are taken in another order: a few ulps a step, relative to order-1
  // values.
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::int64_t k = 0; k < one[i].size(); ++k)
      EXPECT_NEAR(one[i].item(k), four[i].item(k), 2e-5) << i << " " << k;
  }
}

TEST(Plan, EqualsTheEagerRunBitForBit) {
  for (const int shards : {1, 2, 4}) {
    Problem s;
    Plan plan = s.plan(shards, 2);
    std::vector<Array> state;
    for (const auto& a : s.state) state.push_back(a.clone());
    for (int step = 0; step < 3; ++step) {
      plan.run();
      const EagerScope scope({.shards = shards});
      Values in;
      for (const auto& a : state) in.push_back(computed({a}, false));
      for (const auto& a : s.batch) {
        std::vector<Array> parts;
        for (int k = 0; k < shards; ++k)
          parts.push_back(a.rows(k * 24 / shards, (k + 1) * 24 / shards));
        in.push_back(computed(parts, true));
      }
      const Values out = training_step(in);
      for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_TRUE(identical(out[i].array(), plan.output(static_cast<int>(i))))
            << "output " << i << " at step " << step;
        if (i < 4) state[i] = out[i].array();
      }
    }
  }
}

TEST(Plan, EachPassKeepsTheResult) {
  const auto all = train(2, 1, 5);
  for (const auto& pass : passes()) {
    if (pass.name == "expand")
      continue;  // not optional where checkpoints are used, and none are here
    expect_identical(all, train(2, 1, 5, {.without = {pass.name}}), "without " + pass.name);
  }
}

TEST(Plan, UnknownPassesAreRefused) {
  Problem s;
  EXPECT_THROW(s.plan(1, 1, {.without = {"simplfy"}}), Error);
}

TEST(Plan, ReplayAllocatesNothing) {
  for (const std::int64_t features : {20, 500}) {  // more: products are summed over the shards
    for (const int shards : {1, 2}) {
      for (const int threads : {1, 2}) {
        Problem s(features);
        Plan plan = s.plan(shards, threads);
        plan.run();
        plan.run();
        const long before = allocations;
        for (int i = 0; i < 10; ++i) plan.run();
        EXPECT_EQ(allocations, before)
            << features << " features, " << shards << " shards, " << threads << " threads";
      }
    }
  }
}

TEST(Plan, StateIsUpdatedInItsOwnMemory) {
  Problem s;
  Plan plan = s.plan(1, 1);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(plan.output(i).raw(), s.state[static_cast<std::size_t>(i)].raw());
}

// Outputs that read each other's old memory, or are inputs themselves.
TEST(Plan, DonationOfSwappedAndForwardedState) {
  const Array a = Array::from<double>({1, 2, 3}, {3}), b = Array::from<double>({10, 20, 30}, {3});
  Plan plan = compile(
      [](ValueSpan x) {
        return Values{x[1], x[0], x[0] + x[1], x[0]};
      },
      {{{DType::float64, {3}}, "a", a.clone()}, {{DType::float64, {3}}, "b", b.clone()}},
      {.donate = {{0, 0}, {1, 1}}});
  plan.run();
  EXPECT_THAT(plan.output(0).to_vector(), testing::ElementsAre(10, 20, 30));
  EXPECT_THAT(plan.output(1).to_vector(), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(plan.output(2).to_vector(), testing::ElementsAre(11, 22, 33));
  EXPECT_THAT(plan.output(3).to_vector(), testing::ElementsAre(1, 2, 3));
}

TEST(Plan, DonatedStateThatIsReadLater) {
  const Array a = Array::from<double>({1, 2}, {2});
  Plan plan = compile(
      [](ValueSpan x) {
        const Value y = x[0] * 2.0;
        return Values{y, matmul(reshape(y, {1, 2}), reshape(x[0], {2, 1}))};
      },
      {{{DType::float64, {2}}, "a", a.clone()}}, {.donate = {{0, 0}}});
  plan.run();
  EXPECT_EQ(plan.output(1).item(), 10);
  plan.run();
  EXPECT_EQ(plan.output(1).item(), 40);
}

TEST(Plan, BuffersShareTheArena) {
  Plan plan = compile(
      [](ValueSpan x) {
        Value y = x[0];
        for (int i = 0; i < 20; ++i) y = matmul(y, x[0]);  // not fused: twenty buffers, two alive
        return Values{y};
      },
      {{{DType::float32, {64, 64}}, "x", {}}});
  const auto& s = plan.statistics();
  EXPECT_EQ(s.unplanned_bytes, 19u * 64 * 64 * 4);  // the last one is the output's own memory
  EXPECT_LE(s.arena_bytes, s.unplanned_bytes / 4);
}

TEST(Plan, CheckpointKeepsLess) {
  const auto chain = [](bool remat) {
    return [remat](ValueSpan in) {
      return grad([&](ValueSpan p) {
        Value h = in[1];
        for (int block = 0; block < 6; ++block) {
          const Fn body = [&](ValueSpan z) {
            Value y = z[0];
            for (int i = 0; i < 4; ++i) y = tanh(matmul(y, p[0]));
            return Values{y};
          };
          h = remat ? checkpoint(body)(Values{h})[0] : body(Values{h})[0];
        }
        return sum(h);
      })(in.first(1));
    };
  };
  const std::vector<PlanInput> inputs = {
      {{DType::float32, {32, 32}}, "w", random_array({32, 32}, 1, -0.2, 0.2, DType::float32)},
      {{DType::float32, {512, 32}}, "x", random_array({512, 32}, 2, -1, 1, DType::float32)}};
  Plan plain = compile(chain(false), inputs), saved = compile(chain(true), inputs);
  plain.run();
  saved.run();
  EXPECT_LT(saved.statistics().arena_bytes, plain.statistics().arena_bytes / 2);
  EXPECT_GT(saved.statistics().flops, plain.statistics().flops * 1.2);
  // Each block adds up its own contributions to the gradient first: another order, float32
  // rounding.
  for (std::int64_t i = 0; i < plain.output(0).size(); ++i)
    EXPECT_NEAR(plain.output(0).item(i), saved.output(0).item(i), 1e-4) << i;
}

TEST(Plan, FusesNeighbours) {
  Plan plan = compile([](ValueSpan x) { return Values{tanh(x[0] * 2.0 + x[1]) * sigmoid(x[0])}; },
                      {{{DType::float32, {8, 100}}, "x", {}}, {{DType::float32, {100}}, "b", {}}});
  EXPECT_EQ(plan.statistics().kernels, 1);
}

// Sums over rows end the chain that makes their operand, and the chain itself is not written.
TEST(Plan, FusesSumsOverRows) {
  const Fn f = [](ValueSpan in) {
    const Value centred = in[0] - in[1];
    const Value columns = sum(square(centred), {0}), all = sum(centred * in[0]);
    return Values{columns, all, relu(centred), columns * 2.0};
  };
  for (const auto dtype : {DType::float32, DType::float64}) {
    for (const std::int64_t rows : {1, 7, 64, 1000}) {
      for (const std::int64_t columns : {4, 16, 10}) {
        const std::vector<Array> x = {random_array({rows, columns}, 1, -1, 1, dtype),
                                      random_array({columns}, 2, -1, 1, dtype)};
        expect_identical(evaluate(f, x, {.verify = true}), evaluate(f, x, {.without = {"fuse"}}),
                         std::to_string(rows) + " rows of " + std::to_string(columns));
      }
    }
  }
  std::vector<PlanInput> inputs = {{{DType::float32, {1000, 16}, false}, "x", {}},
                                   {{DType::float32, {16}, false}, "mean", {}}};
  EXPECT_EQ(compile(f, inputs).statistics().kernels, 2);
}

TEST(Plan, ErrorsOfKernelsReachTheCallerFromAnyThread) {
  const auto pool = std::make_shared<ThreadPool>(2);
  Plan plan =
      compile([](ValueSpan x) { return Values{batch_sum(gather(x[0], x[1]))}; },
              {{{DType::float32, {3, 2}}, "table", {}}, {{DType::int64, {2}, true}, "index", {}}},
              {.shards = 2, .pool = pool});
  Array index = plan.input(1);  // shares the plan's memory
  index.set_item(3, 5);         // of the second shard
  for (int i = 0; i < 3; ++i) {
    try {
      plan.run();
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::data);
      EXPECT_THAT(e.what(), HasSubstr("index 5 at position 1 is not in 0..2"));
    }
  }
  index.set_item(3, 2);
  plan.run();
}

TEST(Plan, DumpsItsPasses) {
  std::ostringstream out;
  Plan plan = compile([](ValueSpan x) { return Values{sum(square(x[0]))}; },
                      {{{DType::float32, {8}}, "x", {}}}, {.dump = &out});
  plan.dump(out);
  EXPECT_THAT(out.str(), testing::AllOf(HasSubstr("after simplify"), HasSubstr("square"),
                                        HasSubstr("arena"), HasSubstr("1 fused")));
}

TEST(Plan, EmptyAndScalarInputs) {
  Plan plan = compile(
      [](ValueSpan x) {
        return Values{x[0] * 3.0, sum(x[1], {0})};
      },
      {{{DType::float32, {}}, "s", Array::scalar(2.0f)}, {{DType::float32, {0, 2}}, "e", {}}});
  plan.run();
  EXPECT_EQ(plan.output(0).item(), 6);
  EXPECT_THAT(plan.output(1).to_vector(), testing::ElementsAre(0, 0));
}

TEST(Eager, NamesTheLayerAndOperationOfTheFirstNan) {
  try {
    const EagerScope scope;
    const NameScope layer("encoder.0");
    const Value x = computed({Array::from<float>({1, -1}, {2})}, false);
    (void)log(x);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::diverged);
    EXPECT_THAT(e.what(), testing::AllOf(HasSubstr("layer encoder.0"), HasSubstr("operation log"),
                                         HasSubstr("element 1")));
  }
}

TEST(Infer, ErrorsNameOperationTypesAndLayer) {
  const NameScope layer("decoder");
  const Value a = input({DType::float32, {128, 784}}), b = input({DType::float32, {512, 10}});
  try {
    (void)matmul(a, b);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_STREQ(e.what(),
                 "layer decoder: matmul(float32[128, 784], float32[512, 10]): inner extents "
                 "differ: 784 and 512");
  }
  EXPECT_THROW((void)(a + b), Error);
  EXPECT_THROW((void)(a + cast(a, DType::float64)), Error);
  EXPECT_THROW((void)reshape(a, {3, 5}), Error);
  EXPECT_THROW((void)transpose(a, {0, 0}), Error);
  EXPECT_THROW((void)slice(a, 0, 100, 200), Error);
  EXPECT_THROW((void)sum(a, {2}), Error);
  EXPECT_THROW((void)conv2d(a, b), Error);
  EXPECT_THROW((void)concat({a, b}, 0), Error);
  EXPECT_THROW((void)gather(a, b), Error);
  EXPECT_THROW((void)one_hot(a, 3), Error);
  EXPECT_THROW((void)max_pool2d(a), Error);
}

TEST(Random, IsAFunctionOfKeyStreamAndElement) {
  const auto draw = [](std::int64_t key, int shards) {
    const auto pool = std::make_shared<ThreadPool>(shards);
    Plan plan = compile(
        [&](ValueSpan x) {
          return Values{random_uniform(x[0], {DType::float32, {12 / shards, 50}, true})};
        },
        {{{DType::int64, {}}, "key", Array::scalar(key)}}, {.shards = shards, .pool = pool});
    plan.run();
    return plan.output(0).clone();
  };
  EXPECT_TRUE(identical(draw(1, 1), draw(1, 2)));
  EXPECT_TRUE(identical(draw(1, 1), draw(1, 3)));
  EXPECT_FALSE(identical(draw(1, 1), draw(2, 1)));
  const auto two = evaluate(
      [](ValueSpan x) {
        const Type t{DType::float64, {100}};
        return Values{random_uniform(x[0], t, 1), random_uniform(x[0], t, 2),
                      random_uniform(x[0], t, 1), random_normal(x[0], {DType::float64, {20000}})};
      },
      {Array::scalar<std::int64_t>(5)});
  EXPECT_FALSE(identical(two[0], two[1]));
  EXPECT_TRUE(identical(two[0], two[2]));
  double mean = 0, square = 0;
  for (const double z : two[3].to_vector()) mean += z / 20000, square += z * z / 20000;
  EXPECT_NEAR(mean, 0, 4 / std::sqrt(20000.0));  // four standard errors
  EXPECT_NEAR(square, 1, 4 * std::sqrt(2 / 20000.0));
}

TEST(Bfloat16, MatmulAccumulatesInFloat32AndGradientsStayFloat32) {
  const Array x = random_array({40, 30}, 1, -1, 1, DType::float32),
              w = random_array({30, 20}, 2, -1, 1, DType::float32);
  const auto mixed = [](ValueSpan in) {
    return sum(square(matmul(cast(in[0], DType::bfloat16), cast(in[1], DType::bfloat16))));
  };
  const auto exact = [](ValueSpan in) { return sum(square(matmul(in[0], in[1]))); };
  const auto a = evaluate(grad(mixed), {x, w}), b = evaluate(grad(exact), {x, w});
  EXPECT_EQ(a[0].dtype(), DType::float32);
  double error = 0, size = 0;
  for (std::int64_t i = 0; i < a[1].size(); ++i)
    error += std::pow(a[1].item(i) - b[1].item(i), 2), size += std::pow(b[1].item(i), 2);
  EXPECT_LT(std::sqrt(error / size),
            0.01);  // bfloat16 rounds to 2^-9 = 0.002, three roundings on the way
  EXPECT_GT(error, 0) << "not computed in bfloat16";
}

TEST(Bfloat16, ConvolutionsHaveGradients) {
  const Array x = random_array({2, 3, 6, 6}, 1, -1, 1, DType::float32),
              w = random_array({4, 3, 3, 3}, 2, -1, 1, DType::float32);
  const auto loss = [](bool mixed) {
    return [mixed](ValueSpan in) {
      const auto to = mixed ? DType::bfloat16 : DType::float32;
      return sum(square(cast(conv2d(cast(in[0], to), cast(in[1], to)), DType::float32)));
    };
  };
  const auto a = evaluate(grad(loss(true)), {x, w}), b = evaluate(grad(loss(false)), {x, w});
  double error = 0, size = 0;
  for (std::int64_t i = 0; i < a[1].size(); ++i)
    error += std::pow(a[1].item(i) - b[1].item(i), 2), size += std::pow(b[1].item(i), 2);
  EXPECT_LT(std::sqrt(error / size), 0.02);  // operands, output and gradient rounded to 2^-9
  EXPECT_GT(error, 0);
}

}  // namespace
}  // namespace descent::test
