// What the transformer block and the presets made of blocks share: options and the choice of norms
// and positions.
#pragma once
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/nn/layers.h"

namespace descent::nn {

// heads, norm, place, mlp, ratio, dropout, attention_dropout, bias. `bias`, `dropout`: their
// defaults.
std::vector<Option> block_options(bool bias = true, double dropout = 0);
TransformerBlockOptions block_from(const Options& options);

// A whole model of blocks: those, and layers, width, positions, context.
std::vector<Option> transformer_options(bool bias, double dropout);

Layer norm_layer(NormKind kind, bool bias);

// Of GPT-2: N(0, 0.02), and for what is added to the residual stream, that over sqrt(2 layers), so
// that the sum of all has the same variance whatever the depth.
inline constexpr double kTransformerDeviation = 0.02;
double residual_deviation(std::int64_t layers);

}  // namespace descent::nn
