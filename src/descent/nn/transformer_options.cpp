#include "descent/nn/transformer_options.h"

#include <cmath>

#include "descent/nn/options.h"

namespace descent::nn {

std::vector<Option> block_options(bool bias, double dropout) {
  return {{.key = "heads",
           .type = OptionType::integer,
           .fallback = 4,
           .help = "heads of attention, which divide the width",
           .min = 1},
          {.key = "norm",
           .fallback = "layer",
           .help = "layer normalisation, or RMS normalisation",
           .choices = {"layer", "rms"}},
          {.key = "place",
           .fallback = "pre",
           .help = "norms before attention and MLP, or after each sum",
           .choices = {"pre", "post"}},
          {.key = "mlp",
           .fallback = "gelu",
           .help = "the MLP's hidden layer",
           .choices = {"gelu", "swiglu"}},
          {.key = "ratio",
           .type = OptionType::number,
           .fallback = 4.0,
           .help = "hidden units of the MLP, in widths"},
          {.key = "dropout",
           .type = OptionType::number,
           .fallback = dropout,
           .help = "rate after attention and MLP, below 1",
           .min = 0,
           .max = 1},
          attention_dropout_option(),
          {.key = "bias",
           .type = OptionType::boolean,
           .fallback = bias,
           .help = "biases of linear layers and norms"}};
}

TransformerBlockOptions block_from(const Options& options) {
  TransformerBlockOptions block{
      .attention = {.heads = options.integer("heads"),
                    .bias = options.boolean("bias"),
                    .dropout = options.number("dropout"),
                    .attention_dropout = options.number("attention_dropout")},
      .norm = options.text("norm") == "rms" ? NormKind::rms : NormKind::layer,
      .place = options.text("place") == "post" ? NormPlace::post : NormPlace::pre,
      .mlp = options.text("mlp") == "swiglu" ? MlpKind::swiglu : MlpKind::gelu,
      .ratio = options.number("ratio")};
  return block;
}

std::vector<Option> transformer_options(bool bias, double dropout) {
  auto options = block_options(bias, dropout);
  options.push_back({.key = "layers",
                     .type = OptionType::integer,
                     .fallback = 4,
                     .help = "how many blocks",
                     .min = 1});
  options.push_back({.key = "width",
                     .type = OptionType::integer,
                     .fallback = 128,
                     .help = "numbers for each token",
                     .min = 1});
  options.push_back({.key = "context",
                     .type = OptionType::integer,
                     .fallback = 0,
                     .help = "the longest sequence; 0: as long as the rows of the data",
                     .min = 0});
  options.push_back({.key = "positions",
                     .fallback = "learned",
                     .help = "how positions are told apart",
                     .choices = {"learned", "sinusoidal", "rotary"}});
  return options;
}

Layer norm_layer(NormKind kind, bool bias) {
  return kind == NormKind::rms ? rms_norm() : layer_norm({.bias = bias});
}

double residual_deviation(std::int64_t layers) {
  return kTransformerDeviation / std::sqrt(2.0 * static_cast<double>(layers));
}

}  // namespace descent::nn
