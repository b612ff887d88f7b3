// A small MobileNet (Howard et al. 2017) for small images: a 3x3 convolution, then blocks of a
// depthwise 3x3 and a pointwise 1x1 convolution, each with batch normalisation and ReLU, then the
// mean of each channel and a linear layer. Images of 32x32 are halved three times, to 4x4.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

// Of each block: channels in widths, and the stride of its depthwise convolution.
struct Block {
  std::int64_t widths, stride;
};
constexpr Block kBlocks[] = {{2, 1}, {4, 2}, {4, 1}, {8, 2}, {8, 1}, {16, 2}, {16, 1}};

Layer make(const Options& options, const Problem& problem) {
  if (problem.sample.rank() != 3) {
    throw Error(ErrorKind::usage,
                fmt::format("mobilenet wants images [channels, height, width], not rows of {}",
                            to_string(problem.sample)),
                "model \"mobilenet\"", "use mlp for rows of numbers");
  }
  const auto width = options.integer("width");
  std::vector<Layer> layers;
  // Batch normalisation subtracts what a bias would add.
  const auto normalised = [&](Layer convolution) {
    layers.insert(layers.end(), {std::move(convolution), batch_norm(), relu()});
  };
  normalised(conv2d({.filters = width, .padding = 1, .bias = false, .init = he_normal()}));
  for (const auto& [widths, stride] : kBlocks) {
    normalised(
        depthwise_conv2d({.stride = stride, .padding = 1, .bias = false, .init = he_normal()}));
    normalised(
        conv2d({.filters = widths * width, .kernel = 1, .bias = false, .init = he_normal()}));
  }
  layers.push_back(global_avg_pool2d());
  if (const auto rate = options.number("dropout"); rate > 0) layers.push_back(dropout(rate));
  layers.push_back(linear(problem.outputs));
  return sequential(std::move(layers));
}

}  // namespace

void register_mobilenet(PresetRegistry& registry) {
  registry.add({.name = "mobilenet",
                .help = "small net of depthwise separable convolutions (Howard et al. 2017)",
                .options = {{.key = "width",
                             .type = OptionType::integer,
                             .fallback = 32,
                             .help = "channels of the first convolution; the last has 16 times as "
                                     "many",
                             .min = 1},
                            {.key = "dropout",
                             .type = OptionType::number,
                             .fallback = 0.0,
                             .help = "rate before the outputs, below 1",
                             .min = 0,
                             .max = 1}},
                .make = make});
}

}  // namespace descent::nn
