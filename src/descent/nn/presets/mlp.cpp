// Multilayer perceptron: for each hidden size linear, (batch_norm,) activation, (dropout), then a
// linear layer to the outputs. Images are flattened first.
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

Layer make(const Options& options, const Problem& problem) {
  std::vector<Layer> layers;
  if (problem.sample.rank() != 1) layers.push_back(flatten());
  const bool norm = options.boolean("batch_norm");
  for (const auto units : options.integers("hidden")) {
    // Batch normalisation subtracts what a bias would add.
    layers.push_back(linear(units, {.bias = !norm}));
    if (norm) layers.push_back(batch_norm());
    layers.push_back(activation(options.text("activation"), "mlp"));
    if (options.number("dropout") > 0) layers.push_back(dropout(options.number("dropout")));
  }
  layers.push_back(linear(problem.outputs));
  return sequential(std::move(layers));
}

}  // namespace

void register_mlp(PresetRegistry& registry) {
  registry.add({.name = "mlp",
                .help = "multilayer perceptron",
                .options = {{.key = "hidden",
                             .type = OptionType::integers,
                             .fallback = std::vector<std::int64_t>{64, 64},
                             .help = "units of each hidden layer",
                             .min = 1},
                            {.key = "activation",
                             .fallback = "relu",
                             .help = "between the layers",
                             .choices = activation_names()},
                            {.key = "dropout",
                             .type = OptionType::number,
                             .fallback = 0.0,
                             .help = "rate after each activation, below 1",
                             .min = 0,
                             .max = 1},
                            {.key = "batch_norm",
                             .type = OptionType::boolean,
                             .fallback = false,
                             .help = "normalise before each activation"}},
                .make = make});
}

}  // namespace descent::nn
