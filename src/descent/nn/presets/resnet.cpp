// The residual net for small images of He, Zhang, Ren & Sun 2016: a 3x3 convolution, three stages
// of n blocks with width, 2 width and 4 width channels, the second and third stage of half the
// height and width, then the mean of each channel and a linear layer; 6n + 2 layers with weights.
// A block is two 3x3 convolutions, each with batch normalisation; shortcuts have no parameters.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

// Batch normalisation subtracts what a bias would add.
Layer convolution(std::int64_t channels, std::int64_t stride) {
  return conv2d(
      {.filters = channels, .stride = stride, .padding = 1, .bias = false, .init = he_normal()});
}

Layer block(std::int64_t channels, std::int64_t stride) {
  const auto shortcut = stride == 1 ? nullptr : subsample({.stride = stride, .channels = channels});
  return residual(sequential(convolution(channels, stride), batch_norm(), relu(),
                             convolution(channels, 1), batch_norm()),
                  shortcut, relu());
}

Layer make(const Options& options, const Problem& problem) {
  if (problem.sample.rank() != 3) {
    throw Error(ErrorKind::usage,
                fmt::format("resnet wants images [channels, height, width], not rows of {}",
                            to_string(problem.sample)),
                "model \"resnet\"", "use mlp for rows of numbers");
  }
  const auto depth = options.integer("depth");
  if (depth % 6 != 2) {
    const auto below = (depth - 2) / 6 * 6 + 2;
    throw Error(ErrorKind::usage,
                fmt::format("a resnet has 6n + 2 layers with weights, not {}", depth),
                "model.depth", fmt::format("use {} or {}", below, below + 6));
  }
  const auto width = options.integer("width");
  std::vector<Layer> layers{convolution(width, 1), batch_norm(), relu()};
  for (int stage = 0; stage < 3; ++stage) {
    for (std::int64_t i = 0; i < depth / 6; ++i) {
      layers.push_back(block(width << stage, stage > 0 && i == 0 ? 2 : 1));
    }
  }
  layers.push_back(global_avg_pool2d());
  layers.push_back(linear(problem.outputs));
  return sequential(std::move(layers));
}

}  // namespace

void register_resnet(PresetRegistry& registry) {
  registry.add({.name = "resnet",
                .help = "residual net for small images (He et al. 2016): ResNet-20, 32, 44, 56",
                .options = {{.key = "depth",
                             .type = OptionType::integer,
                             .fallback = 20,
                             .help = "layers with weights: 6n + 2, with n blocks in each of the "
                                     "three stages",
                             .min = 8},
                            {.key = "width",
                             .type = OptionType::integer,
                             .fallback = 16,
                             .help = "channels of the first stage, doubled in each of the others",
                             .min = 1}},
                .make = make});
}

}  // namespace descent::nn
