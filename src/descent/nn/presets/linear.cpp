// One linear layer: linear regression with mse, logistic regression with (binary_)cross_entropy, a
// linear support vector machine with hinge.
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"

namespace descent::nn {

void register_linear(PresetRegistry& registry) {
  registry.add(
      {.name = "linear",
       .help = "one linear layer: linear or logistic regression, by the loss",
       .options = {{.key = "init",
                    .type = OptionType::text,
                    .fallback = std::string("default"),
                    .help = "Initial weights, \"zeros\" for the textbook start; with zeros "
                            "the bias is zero too."}},
       .make = [](const Options& options, const Problem& problem) {
         std::vector<Layer> layers;
         if (problem.sample.rank() != 1) layers.push_back(flatten());
         const std::string init = options.text("init");
         LinearOptions row{.init = initializer(init, "model.init")};
         if (init == "zeros") row.bias_init = zeros();
         layers.push_back(linear(problem.outputs, std::move(row)));
         return sequential(std::move(layers));
       }});
}

}  // namespace descent::nn
