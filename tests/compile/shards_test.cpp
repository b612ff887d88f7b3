// What the shards of a plan share: memory within a phase, kernels, transposed matrices.
#include <sstream>

#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

constexpr std::int64_t kRows = 24, kIn = 12, kHidden = 40;

// Two layers with noise between, whose sum over the shards comes back into each of them: a phase
// before it and one after it, with values that cross and values that do not.
// Inputs: w1 [hidden, in], w2 [1, hidden], key, x. Outputs: gradients, and each row's result.
Values step(ValueSpan in) {
  Value rows;
  const auto loss = [&](ValueSpan p) {
    const Value x = in[3];
    const Value h = tanh(matmul(x, p[0], false, true));
    const Type noise{DType::float32, {x.shape()[0], kHidden}, true};
    const Value noisy = h + 0.1 * random_uniform(in[2], noise);
    const Value centred = noisy - batch_mean(noisy);
    const Value again = matmul(tanh(matmul(centred, p[0])), p[0], false, true);
    rows = matmul(square(again) + centred, p[1], false, true);
    return batch_mean(square(rows));
  };
  Values out = grad(loss)(in.first(2));
  out.push_back(rows);
  return out;
}

Plan plan_of(int shards, int threads, const CompileOptions& more = {}) {
  CompileOptions options = more;
  options.shards = shards;
  options.verify = true;
  if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
  const std::vector<PlanInput> inputs = {
      {{DType::float32, {kHidden, kIn}},
       "w1",
       random_array({kHidden, kIn}, 1, -0.4, 0.4, DType::float32)},
      {{DType::float32, {1, kHidden}},
       "w2",
       random_array({1, kHidden}, 2, -0.4, 0.4, DType::float32)},
      {{DType::int64, {}}, "key", Array::scalar<std::int64_t>(7)},
      {{DType::float32, {kRows / shards, kIn}, true},
       "x",
       random_array({kRows, kIn}, 3, -1, 1, DType::float32)}};
  return compile(step, inputs, options);
}
std::vector<Array> results(Plan plan) {
  plan.run();
  plan.run();  // what the first run left in memory does not matter
  std::vector<Array> all;
  for (int i = 0; i < plan.outputs(); ++i) all.push_back(plan.output(i).clone());
  return all;
}

TEST(Shards, OfOneThreadMayShareMemoryAndKernels) {
  for (const int shards : {2, 3, 6, 24}) {
    const auto one = results(plan_of(shards, 1));
    for (const int threads : {2, 3, 5}) {
      expect_identical(one, results(plan_of(shards, threads)),
                       std::to_string(shards) + " shards, " + std::to_string(threads) + " threads");
    }
    // A profiled plan binds a kernel for each shard.
    expect_identical(one, results(plan_of(shards, 2, {.profile = true})), "profiled");
  }
}

TEST(Shards, RowsAreThoseOfOneShard) {
  // Sums over the shards are taken in another order: a few units of values of order 1.
  const auto one = results(plan_of(1, 1)), many = results(plan_of(8, 2));
  for (std::size_t i = 0; i < one.size(); ++i) {
    for (std::int64_t k = 0; k < one[i].size(); ++k)
      EXPECT_NEAR(one[i].item(k), many[i].item(k), 1e-5) << i << " " << k;
  }
}

// x [rows, 64] times 2, 20 times over: what passes from one operation to the next is each thread's,
// and the result each shard's.
TEST(Shards, MemoryIsThatOfTheThreads) {
  const auto arena = [](int shards, int threads) {
    const Fn chain = [](ValueSpan in) {
      Value x = in[0];
      for (int i = 0; i < 20; ++i) x = matmul(tanh(x), in[1]);
      return Values{x};
    };
    const std::vector<PlanInput> inputs = {{{DType::float32, {64, 64}, true}, "x", {}},
                                           {{DType::float32, {64, 64}}, "w", {}}};
    return compile(chain, inputs, {.shards = shards, .pool = std::make_shared<ThreadPool>(threads)})
        .statistics()
        .arena_bytes;
  };
  EXPECT_EQ(arena(32, 2) - arena(32, 1), arena(32, 3) - arena(32, 2));
  // Of each further shard only the few hundred bytes that keep shards apart.
  EXPECT_LT(arena(32, 2) - arena(2, 2), 32u * 1024);
}

int transposes(const Plan& plan) {
  std::ostringstream text;
  plan.dump(text);
  const std::string dump = text.str();
  int found = 0;
  for (auto at = dump.find("  transpose "); at != std::string::npos;
       at = dump.find("  transpose ", at + 1))
    ++found;
  return found;
}

TEST(ShareTransposes, OfAMatrixThatShardsOrProductsShare) {
  for (const int shards : {1, 4}) {
    const CompileOptions without{.without = {"share_transposes"}};
    EXPECT_EQ(transposes(plan_of(shards, 1, without)), 0);
    EXPECT_EQ(transposes(plan_of(shards, 1)), 1);  // of w1, which two products want
    expect_identical(results(plan_of(shards, 1)), results(plan_of(shards, 1, without)),
                     std::to_string(shards) + " shards");
  }
}

// One product x w^T of each shard, w [16, 16], on so many threads.
int transposes_of_one(int shards, int threads) {
  const Fn once = [](ValueSpan in) { return Values{matmul(in[0], in[1], false, true)}; };
  const std::vector<PlanInput> inputs = {{{DType::float32, {8, 16}, true}, "x", {}},
                                         {{DType::float32, {16, 16}}, "w", {}}};
  const auto pool = threads > 1 ? std::make_shared<ThreadPool>(threads) : nullptr;
  return transposes(compile(once, inputs, {.shards = shards, .pool = pool}));
}
TEST(ShareTransposes, WhereItSavesMoreThanItCosts) {
  EXPECT_EQ(transposes_of_one(1, 1), 0);
  EXPECT_EQ(transposes_of_one(2, 1), 1);
  EXPECT_EQ(transposes_of_one(2, 2), 0);  // threads would meet for less than a microsecond
  EXPECT_EQ(transposes_of_one(200, 2), 1);
}

TEST(Simplify, FoldsConstantsThatShardsHave) {
  const Fn f = [](ValueSpan in) {
    return Values{in[0] * (to_shards(scalar(3, DType::float32)) * 0.5)};
  };
  const std::vector<PlanInput> inputs = {
      {{DType::float32, {4}, true}, "x", random_array({8}, 1, -1, 1, DType::float32)}};
  Plan folded = compile(f, inputs, {.shards = 2, .verify = true}),
       plain = compile(f, inputs, {.shards = 2, .without = {"simplify"}});
  EXPECT_EQ(folded.statistics().kernels, 1);
  expect_identical(results(std::move(folded)), results(std::move(plain)), "folded");
}

// The fused program of f(a, b, c) as text.
std::string fused(const std::function<Value(Value, Value, Value)>& f) {
  const Type type{DType::float32, {3}};
  const Plan plan = compile([&](ValueSpan in) { return Values{f(in[0], in[1], in[2])}; },
                            {{type, "a", {}}, {type, "b", {}}, {type, "c", {}}});
  std::ostringstream text;
  plan.dump(text);
  return text.str();
}

TEST(Simplify, SignsNeedNoOperation) {
  using Formula = std::function<Value(Value, Value, Value)>;
  const std::vector<std::pair<Formula, std::string>> formulas = {
      {[](Value a, Value b, Value) { return a + -b; }, "  sub"},
      {[](Value a, Value b, Value) { return -a + b; }, "  sub"},
      {[](Value a, Value b, Value) { return a - -b; }, "  add"},
      {[](Value a, Value, Value) { return -a * 0.5; }, "  mul"},
      {[](Value a, Value b, Value c) { return a + -b * c; }, "mul+sub"},
      {[](Value a, Value b, Value c) { return b * -c + a; }, "mul+sub"}};
  const auto zeros = [](std::uint64_t seed) {
    Array x = random_array({3}, seed, -1, 1, DType::float32);
    x.set_item(0, 0.0), x.set_item(1, -0.0);
    return x;
  };
  for (const auto& [f, want] : formulas) {
    const std::string text = fused(f);
    EXPECT_EQ(text.find("neg"), std::string::npos) << text;
    EXPECT_NE(text.find(want), std::string::npos) << text;
    const Fn formula = [&f = f](ValueSpan in) { return Values{f(in[0], in[1], in[2])}; };
    for (const std::uint64_t seed : {1, 2, 3}) {
      const std::vector<Array> in = {zeros(seed), zeros(seed + 10), zeros(seed + 20)};
      expect_identical(evaluate(formula, in), evaluate(formula, in, {.without = {"simplify"}}),
                       want);
    }
  }
  // A product that others read, too, stays one.
  const std::string both = fused([](Value a, Value b, Value c) {
    const Value p = -b * c;
    return (a + p) * p;
  });
  EXPECT_NE(both.find("neg+mul+add+mul"), std::string::npos) << both;
}

}  // namespace
}  // namespace descent::test
