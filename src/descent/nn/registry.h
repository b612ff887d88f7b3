// What a configuration can name: layers, losses and whole models (presets).
#pragma once
#include "descent/base/registry.h"
#include "descent/nn/loss.h"
#include "descent/nn/module.h"

namespace descent::nn {

// A layer from the options of its [[model.layers]] table.
using LayerRegistry = Registry<Layer(const Options&)>;
const LayerRegistry& layers();

using LossRegistry = Registry<Loss(const Options&)>;
const LossRegistry& losses();

// What a preset (model.name = "mlp") must know of the data.
struct Problem {
  Shape sample;              // of one row of features: [13], [1, 28, 28]
  std::int64_t outputs = 1;  // classes, or targets of a regression
  // Rows of tokens, int64 in 0 .. vocabulary - 1; 0: rows are numbers. A language model's outputs
  // are its vocabulary.
  std::int64_t vocabulary = 0;
};
using PresetRegistry = Registry<Layer(const Options&, const Problem&)>;
const PresetRegistry& presets();

// Defined by the build: calls register_X of every file X.cpp of layers/, losses/, presets/.
void register_all(LayerRegistry& registry);
void register_all(LossRegistry& registry);
void register_all(PresetRegistry& registry);

}  // namespace descent::nn
