// Gradients of weights that are added up over the shards while they are computed.
#include <gmock/gmock.h>

#include <sstream>

#include "descent/compile/passes.h"
#include "descent/compile/plan.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kIn = 600, kHidden = 300, kRows = 96;

// Two dense layers, weights [out, in], and gradient descent by a clipped gradient.
Values step(ValueSpan in) {
  const auto loss = [&](ValueSpan w) {
    const Value h = tanh(matmul(in[2], w[0], false, true));
    return batch_mean(square(sum(matmul(h, w[1], false, true), {1}) - in[3]));
  };
  const Values g = value_and_grad(loss)(in.first(2));
  const Value norm = sqrt(sum(square(g[1])) + sum(square(g[2])));
  const Value clip = minimum(1.0 / (norm + 1e-6), 1.0);
  return {in[0] - 0.1 * (clip * g[1]), in[1] - 0.1 * (clip * g[2]), g[0], norm};
}

std::vector<PlanInput> inputs(int shards, DType dtype = DType::float32) {
  const auto array = [dtype](const Shape& s, std::uint64_t seed) {
    return random_array(s, seed, -0.1, 0.1, dtype);
  };
  return {{{dtype, {kHidden, kIn}, false}, "w0", array({kHidden, kIn}, 1)},
          {{dtype, {500, kHidden}, false}, "w1", array({500, kHidden}, 2)},
          {{dtype, {kRows / shards, kIn}, true}, "x", array({kRows, kIn}, 3)},
          {{dtype, {kRows / shards}, true}, "y", array({kRows}, 4)}};
}

Plan plan_of(int shards, int threads, std::vector<std::string> without = {},
             std::ostream* dump = nullptr) {
  CompileOptions options;
  options.shards = shards;
  options.donate = {{0, 0}, {1, 1}};
  options.without = std::move(without);
  options.verify = true;
  options.dump = dump;
  if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
  return compile(step, inputs(shards), options);
}

std::vector<Array> run(Plan plan, int steps = 5) {
  for (int i = 0; i < steps; ++i) plan.run();
  std::vector<Array> result;
  for (int i = 0; i < plan.outputs(); ++i) result.push_back(plan.output(i).clone());
  return result;
}

TEST(SummedProduct, SameBitsForAnyNumberOfThreads) {
  for (const int shards : {2, 3, 4}) {
    const auto one = run(plan_of(shards, 1));
    for (const int threads : {2, 3, 4})
      expect_identical(one, run(plan_of(shards, threads)), std::to_string(shards) + " shards");
  }
}

TEST(SummedProduct, SameBitsAsProductsOfEachShardThatAreAdded) {
  for (const int shards : {2, 3, 4, 12}) {
    for (const int threads : {1, 2}) {
      expect_identical(run(plan_of(shards, threads)),
                       run(plan_of(shards, threads, {"sum_products"})),
                       std::to_string(shards) + " shards");
    }
  }
}

TEST(SummedProduct, SameBitsAsTheEagerRun) {
  for (const int shards : {2, 4}) {
    const auto compiled = run(plan_of(shards, 2), 1);
    const EagerScope scope({.shards = shards});
    Values in;
    for (const auto& described : inputs(shards)) {
      std::vector<Array> parts = {described.storage};
      if (described.type.per_shard) {
        parts.clear();
        for (int s = 0; s < shards; ++s)
          parts.push_back(described.storage.rows(s * kRows / shards, (s + 1) * kRows / shards));
      }
      in.push_back(computed(parts, described.type.per_shard));
    }
    const Values eager = step(in);
    for (std::size_t i = 0; i < eager.size(); ++i)
      EXPECT_TRUE(identical(eager[i].array(), compiled[i])) << "output " << i;
  }
}

// The sums are those of one product over the whole batch, taken in another order.
TEST(SummedProduct, IsTheGradientOfTheWholeBatch) {
  const auto one = run(plan_of(1, 1), 1), two = run(plan_of(2, 2), 1);
  for (std::size_t i = 0; i < 2; ++i) {
    // Weights of 0.1, moved by a clipped gradient of 0.1 altogether: roundings of float32 in sums
    // of some hundred terms stay far below 1e-6 of the weights.
    for (std::int64_t k = 0; k < one[i].size(); ++k)
      ASSERT_NEAR(one[i].item(k), two[i].item(k), 1e-7) << i << " " << k;
  }
}

TEST(SummedProduct, NeedsLessMemoryAndNoMoreMeetings) {
  const Plan with = plan_of(2, 2), without = plan_of(2, 2, {"sum_products"});
  const auto &a = with.statistics(), &b = without.statistics();
  EXPECT_LE(a.phases, b.phases);
  // Of each weight's gradient there were two, one for each shard.
  EXPECT_LT(a.arena_bytes + std::size_t{4} * kHidden * kIn, b.arena_bytes);
}

std::string dump_of(const Fn& f, const std::vector<PlanInput>& in, int shards) {
  std::ostringstream out;
  compile(f, in, {.shards = shards, .verify = true, .dump = &out});
  return out.str();
}

TEST(SummedProduct, OnlyWhereNobodyReadsAShardsProduct) {
  const auto product = [](ValueSpan in) {
    return matmul(in[2], matmul(in[2], in[0], false, true), true);
  };
  const auto sums = [&](ValueSpan in) { return Values{all_reduce_sum(product(in))}; };
  const auto reads = [&](ValueSpan in) {
    const Value p = product(in);
    return Values{all_reduce_sum(p), all_reduce_sum(sum(square(p)))};
  };
  EXPECT_THAT(dump_of(sums, inputs(2), 2), HasSubstr("summed_matmul"));
  EXPECT_THAT(dump_of(reads, inputs(2), 2), Not(HasSubstr("summed_matmul")));
  EXPECT_THAT(dump_of(sums, inputs(1), 1), Not(HasSubstr("summed_matmul")));
  EXPECT_THAT(dump_of(sums, inputs(2, DType::float64), 2), Not(HasSubstr("summed_matmul")));
}

}  // namespace
}  // namespace descent::test
