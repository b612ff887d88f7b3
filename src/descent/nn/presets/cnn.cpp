// A small convolutional net for images [channels, height, width]: for each number of filters
// conv2d, (batch_norm,) relu, max_pool2d; then one hidden linear layer.
#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

Layer make(const Options& options, const Problem& problem) {
  if (problem.sample.rank() != 3) {
    throw Error(ErrorKind::usage,
                fmt::format("cnn wants images [channels, height, width], not rows of {}",
                            to_string(problem.sample)),
                "model \"cnn\"", "use mlp for rows of numbers");
  }
  const bool norm = options.boolean("batch_norm");
  auto smaller = std::min(problem.sample[1], problem.sample[2]);
  std::vector<Layer> layers;
  for (const auto filters : options.integers("filters")) {
    // Batch normalisation subtracts what a bias would add.
    layers.push_back(conv2d({.filters = filters,
                             .kernel = size_option(options, "kernel", "cnn"),
                             .padding = Padding::same(),
                             .bias = !norm}));
    if (norm) layers.push_back(batch_norm());
    layers.push_back(relu());
    if (smaller >= 2) layers.push_back(max_pool2d());
    smaller /= 2;
  }
  layers.push_back(flatten());
  if (const auto hidden = options.integer("hidden"); hidden > 0) {
    layers.push_back(linear(hidden));
    layers.push_back(relu());
  }
  if (options.number("dropout") > 0) layers.push_back(dropout(options.number("dropout")));
  layers.push_back(linear(problem.outputs));
  return sequential(std::move(layers));
}

}  // namespace

void register_cnn(PresetRegistry& registry) {
  registry.add({.name = "cnn",
                .help = "small convolutional net for images",
                .options = {{.key = "filters",
                             .type = OptionType::integers,
                             .fallback = std::vector<std::int64_t>{16, 32},
                             .help = "channels of each block of convolution and pooling",
                             .min = 1},
                            described_size("kernel", 3, 1, "size of the filters"),
                            {.key = "hidden",
                             .type = OptionType::integer,
                             .fallback = 128,
                             .help = "units of the linear layer before the outputs; 0: none",
                             .min = 0},
                            {.key = "dropout",
                             .type = OptionType::number,
                             .fallback = 0.0,
                             .help = "rate before the outputs, below 1",
                             .min = 0,
                             .max = 1},
                            {.key = "batch_norm",
                             .type = OptionType::boolean,
                             .fallback = true,
                             .help = "normalise after each convolution"}},
                .make = make});
}

}  // namespace descent::nn
