// Work that is done once for the batch and does not need each other goes to several threads.
#include <algorithm>

#include "descent/compile/plan.h"
#include "descent/compile/schedule.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

constexpr std::int64_t kSide = 120;  // a product of float64 takes some 200 us, and scratch memory

Value chain(Value a, int links) {
  const Value start = a;
  for (int i = 0; i < links; ++i) a = matmul(a, start) + 0.5 * a;
  return a;
}

// Chains of unequal length, one value that needs two of them, and state that is updated in place.
Values several(ValueSpan in) {
  const Value a = chain(in[0], 5), b = chain(in[1], 3), c = chain(in[2], 2);
  const Value both = matmul(a, b);
  return {in[0] + 1e-3 * a, in[1] + 1e-3 * b, in[2] + 1e-3 * c, sum(square(both)), sum(c)};
}

std::vector<Array> run_several(int threads, int steps) {
  std::vector<PlanInput> inputs;
  for (std::uint64_t k = 0; k < 3; ++k) {
    inputs.push_back({{DType::float64, {kSide, kSide}},
                      "state",
                      random_array({kSide, kSide}, k, -0.1, 0.1, DType::float64)});
  }
  CompileOptions options;
  options.donate = {{0, 0}, {1, 1}, {2, 2}};
  options.verify = true;
  if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
  Plan plan = compile(several, inputs, options);
  for (int i = 0; i < steps; ++i) plan.run();
  std::vector<Array> result;
  for (int i = 0; i < plan.outputs(); ++i) result.push_back(plan.output(i).clone());
  return result;
}

TEST(Lanes, SameBytesForAnyNumberOfThreads) {
  const auto one = run_several(1, 10);
  for (const int threads : {2, 3, 4}) {
    for (int again = 0; again < 5; ++again)
      expect_identical(one, run_several(threads, 10), std::to_string(threads) + " threads");
  }
}

std::vector<int> lanes_of(std::int64_t side, int threads) {
  const Type type{DType::float64, {side, side}};
  const Values in = {input(type, "a"), input(type, "b")};
  const Values out = {chain(in[0], 4), chain(in[1], 4)};
  const Schedule s = schedule(out, 1, threads);
  std::vector<int> lanes;
  for (const auto& v : out) {
    const auto at = std::find(s.nodes.begin(), s.nodes.end(), v.node()) - s.nodes.begin();
    lanes.push_back(s.lanes.at(static_cast<std::size_t>(at)));
  }
  return lanes;
}

TEST(Lanes, ChainsThatDoNotNeedEachOtherPart) {
  const auto two = lanes_of(kSide, 2);
  EXPECT_NE(two[0], two[1]);
  EXPECT_EQ(lanes_of(kSide, 1), (std::vector<int>{0, 0}));
}

TEST(Lanes, SmallWorkStaysOnOneThread) { EXPECT_EQ(lanes_of(8, 2), (std::vector<int>{0, 0})); }

}  // namespace
}  // namespace descent::test
