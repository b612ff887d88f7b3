// One linear layer: linear regression with mse, logistic regression with (binary_)cross_entropy, a
// linear support vector machine with hinge.
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {

void register_linear(PresetRegistry& registry) {
  registry.add({.name = "linear",
                .help = "one linear layer: linear or logistic regression, by the loss",
                .options = {},
                .make = [](const Options&, const Problem& problem) {
                  std::vector<Layer> layers;
                  if (problem.sample.rank() != 1) layers.push_back(flatten());
                  layers.push_back(linear(problem.outputs));
                  return sequential(std::move(layers));
                }});
}

}  // namespace descent::nn
