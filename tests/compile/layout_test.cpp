// Channels last: the same bits as with planes, and hardly a transposition left.
#include <gmock/gmock.h>

#include <sstream>

#include "descent/compile/plan.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

// A small residual net with everything that images pass through, and its gradients.
// Inputs: images, then the parameters. Outputs: the loss and all gradients.
Values net(ValueSpan in) {
  const auto loss = [&](ValueSpan p) {
    const Value& x = in[0];
    Value h = conv2d(x, p[0], {.pad_h = 1, .pad_w = 1}) + reshape(p[1], {1, 8, 1, 1});
    const Value mean = batch_mean(h, {0, 2, 3});
    const Value centred = h - reshape(mean, {1, 8, 1, 1});
    const Value variance = batch_mean(square(centred), {0, 2, 3});
    h = relu(centred * reshape(rsqrt(variance + 1e-5), {1, 8, 1, 1}));
    // A shortcut of every second place with more channels, as the ResNet of CIFAR has it.
    const Value shortcut = pad(slice(slice(h, 2, 0, 8, 2), 3, 0, 8, 2), 1, 4, 4);
    h = relu(conv2d(h, p[2], {.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1}) + shortcut);
    h = concat({max_pool2d(h), avg_pool2d(h)}, 1);
    return batch_mean(matmul(reshape(h, {h.shape()[0], 32 * 4}), p[3]));
  };
  return value_and_grad(loss)(in.subspan(1));
}

struct Net {
  std::vector<PlanInput> inputs;
  explicit Net(int shards) {
    const auto add = [&](const Shape& s, std::uint64_t seed, bool per_shard) {
      Shape part = s;
      if (per_shard) part[0] /= shards;
      inputs.push_back({{DType::float32, part, per_shard},
                        "input",
                        random_array(s, seed, -0.5, 0.5, DType::float32)});
    };
    add({4, 3, 8, 8}, 1, true);
    add({8, 3, 3, 3}, 2, false);
    add({8}, 3, false);
    add({16, 8, 3, 3}, 4, false);
    add({128, 5}, 5, false);
  }
  Plan plan(CompileOptions options, int shards) const {
    options.shards = shards;
    options.verify = true;
    return compile(net, inputs, options);
  }
};

std::vector<Array> outputs(Plan plan) {
  plan.run();
  std::vector<Array> result;
  for (int i = 0; i < plan.outputs(); ++i) result.push_back(plan.output(i).clone());
  return result;
}

TEST(ChannelsLast, GivesTheBitsOfPlanes) {
  for (const int shards : {1, 2}) {
    const Net n(shards);
    const auto last = outputs(n.plan({}, shards));
    EXPECT_NE(last[1].item(), 0.0);
    expect_identical(last, outputs(n.plan({.without = {"channels_last"}}, shards)), "planes");
  }
}

TEST(ChannelsLast, GivesTheBitsOfComputingAtOnce) {
  const Net n(1);
  std::vector<Array> images;
  for (const auto& i : n.inputs) images.push_back(i.storage);
  expect_identical(outputs(n.plan({}, 1)), eager(net, images), "at once");
}

TEST(ChannelsLast, TurnsImagesWhereTheyComeInAndGoOut) {
  std::ostringstream text;
  Net(2).plan({.without = {"share_transposes"}}, 2).dump(text);
  const std::string dump = text.str();
  int turned = 0;
  for (std::size_t at = dump.find("transpose"); at != std::string::npos;
       at = dump.find("transpose", at + 1))
    ++turned;
  // The images, what is flattened for the product, and its two parts backward.
  EXPECT_LE(turned, 4) << dump;
}

}  // namespace
}  // namespace descent::test
