// What fused kernels read and write: memory that a step need not touch is not touched.
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/compile/profile.h"
#include "descent/nn/layers.h"
#include "descent/ops/ops.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

// How often fused kernels touch a tensor of these bytes, smaller operands left out.
double passes(const Fn& f, const std::vector<PlanInput>& inputs, double bytes) {
  Plan plan = compile(f, inputs, {.profile = true});
  plan.run();
  double all = 0;
  for (const auto& k : plan.profiler()->kernels()) {
    if (k.kernel == "fused" || k.kernel == "channel_sum" || k.kernel == "sum") all += k.bytes;
  }
  return std::floor(all / bytes);
}

TEST(Traffic, WhatIsInMemoryAnywayIsCombinedAgainForEachReader) {
  constexpr std::int64_t rows = 2000, columns = 16;
  const Fn f = [](ValueSpan in) {
    const Value product = matmul(in[0], in[1]);
    const Value centred = product - batch_mean(product, {0});
    const Value variance = batch_mean(square(centred), {0});
    return Values{centred * rsqrt(variance)};
  };
  const std::vector<Array> x = {random_array({rows, 8}, 1, -1, 1, DType::float32),
                                random_array({8, columns}, 2, -1, 1, DType::float32)};
  expect_identical(evaluate(f, x, {.verify = true}), evaluate(f, x, {.without = {"fuse"}}), "");
  const std::vector<PlanInput> inputs = {{{DType::float32, {rows, 8}}, "x", x[0]},
                                         {{DType::float32, {8, columns}}, "w", x[1]}};
  // Read for the mean, for the variance and for the result, which is written: the centred rows are
  // not.
  EXPECT_EQ(passes(f, inputs, 4.0 * rows * columns), 4);
}

TEST(Traffic, BatchNormTakesBothSumsOfItsGradientInOnePass) {
  constexpr std::int64_t images = 8, channels = 16, side = 16;
  const Type sample{DType::float32, {1, 3, side + 2, side + 2}};
  for (const bool bias : {false, true}) {
    const auto model =
        nn::sequential(nn::conv2d({.filters = channels, .bias = bias}), nn::batch_norm());
    const auto variables = nn::describe(model, sample);
    std::vector<PlanInput> inputs = {{{DType::float32, {images, 3, side + 2, side + 2}}, "x", {}}};
    for (const auto& v : variables) inputs.push_back({v.type, v.name, {}});
    const Fn f = [&](ValueSpan in) {
      const auto loss = [&](ValueSpan p) {
        std::map<std::string, Value> bound;
        for (std::size_t i = 0; i < variables.size(); ++i) bound[variables[i].name] = p[i];
        nn::Scope scope(std::move(bound), true, {});
        return sum(square((*model)(scope, in[0])));
      };
      return grad(loss)(in.subspan(1));
    };
    // The mean and the variance read the images; result, its square's gradient (written) and both
    // sums are one pass over them; the gradient of the convolution is read from both and written.
    // A bias is added again in each pass, and its gradient summed in the last.
    EXPECT_EQ(passes(f, inputs, 4.0 * images * channels * side * side), 7) << "bias " << bias;
  }
}

}  // namespace
}  // namespace descent::test
