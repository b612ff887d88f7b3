// The profile counts every call of every kernel, and copies between layouts.
#include "descent/compile/profile.h"

#include <gmock/gmock.h>

#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

TEST(Profile, CountsCallsArithmeticAndCopies) {
  const Fn f = [](ValueSpan in) {
    const NameScope scope("head");
    return Values{transpose(matmul(in[0], in[1])), batch_sum(in[0])};
  };
  Plan plan = compile(
      f, {{{DType::float32, {4, 8}, true}, "x", {}}, {{DType::float32, {8, 5}, false}, "w", {}}},
      {.shards = 2, .profile = true});
  for (int i = 0; i < 3; ++i) plan.run();
  ASSERT_NE(plan.profiler(), nullptr);
  double product_flops = 0;
  int copies = 0;
  for (const auto& k : plan.profiler()->kernels()) {
    if (k.kernel == "matmul") {
      product_flops = k.flops;
      EXPECT_EQ(k.calls, 2 * 3);
      EXPECT_EQ(k.layer, "head");
      EXPECT_GT(k.seconds, 0);
      EXPECT_EQ(k.bytes, 2 * 4.0 * (4 * 8 + 8 * 5 + 4 * 5));
    }
    copies += k.copies;
  }
  EXPECT_EQ(product_flops, 2.0 * 2 * 4 * 8 * 5);
  EXPECT_EQ(copies, 2);  // the transposition of either shard
  const auto events = plan.profiler()->events();
  ASSERT_FALSE(events.empty());
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_LE(events[i - 1].start, events[i].start);
}

TEST(Profile, IsOffByDefault) {
  const Plan plan = compile([](ValueSpan in) { return Values{in[0] + 1.0}; },
                            {{{DType::float32, {4}, false}, "x", {}}});
  EXPECT_EQ(plan.profiler(), nullptr);
}

}  // namespace
}  // namespace descent::test
