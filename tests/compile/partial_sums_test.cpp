// Sums of long values that several threads share.
#include "descent/compile/plan.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

// Sums at the end of chains: of the values themselves, with a scalar, with a result that is kept,
// and one over shards.
Values sums(ValueSpan in) {
  const Value scaled = in[1] * in[0];
  return {sum(square(in[0])), sum(scaled), scaled, sum(square(all_reduce_sum(in[2])))};
}

std::vector<Array> run(std::int64_t size, DType dtype, int threads,
                       std::vector<std::string> without = {}) {
  const std::vector<PlanInput> inputs = {
      {{dtype, {size}, false}, "x", random_array({size}, 1, -1, 1, dtype)},
      {{dtype, {}, false}, "c", random_array({}, 2, -1, 1, dtype)},
      {{dtype, {size}, true}, "y", random_array({2 * size}, 3, -1, 1, dtype)}};
  CompileOptions options{.shards = 2, .without = std::move(without), .verify = true};
  if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
  Plan plan = compile(sums, inputs, options);
  plan.run();
  std::vector<Array> result;
  for (int i = 0; i < plan.outputs(); ++i) result.push_back(plan.output(i).clone());
  return result;
}

// Below and above where sums are shared out; whole pieces, a piece of one element, any number.
TEST(PartialSums, HaveTheBitsOfWholeSums) {
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const std::int64_t size : {131071, 131072, 131073, 200000, 262144, 266241, 1000003}) {
      const auto whole = run(size, dtype, 1, {"fuse"});
      for (const int threads : {1, 2, 3, 4}) {
        expect_identical(whole, run(size, dtype, threads),
                         std::to_string(size) + " elements, threads " + std::to_string(threads));
      }
    }
  }
}

TEST(PartialSums, NaNArrives) {
  const std::int64_t size = 150000;
  Array x = random_array({size}, 1, -1, 1, DType::float32);
  x.set_item(size - 1, std::numeric_limits<double>::quiet_NaN());
  Plan plan = compile([](ValueSpan in) { return Values{sum(square(in[0]))}; },
                      {{{DType::float32, {size}, false}, "x", x}},
                      {.pool = std::make_shared<ThreadPool>(2)});
  plan.run();
  EXPECT_TRUE(std::isnan(plan.output(0).item()));
  EXPECT_GT(plan.statistics().kernels, 1) << "not shared out";
}

}  // namespace
}  // namespace descent::test
