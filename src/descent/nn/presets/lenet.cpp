// LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998) for images of 28x28 (padded by 2) or 32x32:
// 6 filters of 5x5, pooling, 16 of 5x5, pooling, then linear layers of 120, 84 and the outputs.
// As usual today, the outputs are logits (the paper: radial basis functions), pooling has no
// parameters and every filter sees every channel.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

Layer make(const Options& options, const Problem& problem) {
  const auto& image = problem.sample;
  if (image.rank() != 3 || image[1] != image[2] || (image[1] != 28 && image[1] != 32)) {
    throw Error(ErrorKind::usage,
                fmt::format("lenet wants images [channels, 28, 28] or [channels, 32, 32], not {}",
                            to_string(image)),
                "model \"lenet\"", "use cnn for other sizes");
  }
  const auto activate = [&] { return activation(options.text("activation"), "lenet"); };
  const auto pool = [&] { return options.text("pool") == "max" ? max_pool2d() : avg_pool2d(); };
  const std::int64_t margin = image[1] == 28 ? 2 : 0;
  return sequential(conv2d({.filters = 6, .kernel = 5, .padding = margin}), activate(), pool(),
                    conv2d({.filters = 16, .kernel = 5}), activate(), pool(), flatten(),
                    linear(120), activate(), linear(84), activate(), linear(problem.outputs));
}

}  // namespace

void register_lenet(PresetRegistry& registry) {
  registry.add({.name = "lenet",
                .help = "LeNet-5 for images of 28x28 or 32x32 (LeCun et al. 1998)",
                .options = {{.key = "activation",
                             .fallback = "tanh",
                             .help = "between the layers",
                             .choices = activation_names()},
                            {.key = "pool",
                             .fallback = "avg",
                             .help = "mean or maximum of 2x2",
                             .choices = {"avg", "max"}}},
                .make = make});
}

}  // namespace descent::nn
