// Layers for users of the library; the registry (nn/registry.h) makes the same ones from a
// configuration. Input sizes are taken from the first batch, names, layouts and defaults follow
// PyTorch. Errors name the layer and what it was given.
//
//   auto model = nn::sequential(nn::conv2d({.filters = 16, .kernel = 3}), nn::relu(),
//   nn::flatten(),
//                               nn::linear(10));
#pragma once
#include <concepts>
#include <optional>
#include <string>
#include <vector>

#include "descent/nn/initializers.h"
#include "descent/nn/module.h"
#include "descent/ops/ops.h"

namespace descent::nn {

// sequential(a, b, c), beside sequential(std::vector<Layer>).
template <std::convertible_to<Layer>... Layers>
Layer sequential(Layer first, Layers... others) {
  return sequential(std::vector<Layer>{std::move(first), Layer(std::move(others))...});
}

// ---- linear ----
struct LinearOptions {
  bool bias = true;
  Initializer init = torch_default();
  Initializer bias_init = {};  // null: as PyTorch, U(-1/sqrt(inputs), 1/sqrt(inputs))
};
// y = x W^T + b over the last axis of x: [..., inputs] -> [..., units]. weight [units, inputs].
Layer linear(std::int64_t units, LinearOptions options = {});

// ---- images, [N, C, H, W] ----
// Height and width; one number stands for both.
struct Size2d {
  std::int64_t h = 1, w = 1;
  Size2d(std::int64_t both) : h(both), w(both) {}
  Size2d(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  friend bool operator==(const Size2d&, const Size2d&) = default;
};
// Around an image: a number of rows and columns on both sides, or as many as keep the size.
struct Padding {
  bool keeps_size = false;
  Size2d amount = 0;
  Padding(std::int64_t both) : amount(both) {}
  Padding(Size2d size) : amount(size) {}
  // ceil(size / stride) outputs, an odd zero at the end (PyTorch and, for strides, TensorFlow).
  static Padding same() {
    Padding padding(0);
    padding.keeps_size = true;
    return padding;
  }
};
struct ConvOptions {
  std::int64_t filters = 0;
  Size2d kernel = 3, stride = 1;
  Padding padding = 0;
  Size2d dilation = 1;
  std::int64_t groups = 1;  // input channels in groups that do not mix; filters is a multiple
  bool bias = true;
  Initializer init = torch_default();
  Initializer bias_init = {};             // null: as PyTorch, U(-1/sqrt(fan_in), 1/sqrt(fan_in))
  PadMode padding_mode = PadMode::zeros;  // what padding repeats
};
// Cross-correlation: [N, C, H, W] -> [N, filters, H', W']. weight [filters, C / groups, kh, kw].
Layer conv2d(ConvOptions options);
// Along sequences: [N, C, L] -> [N, filters, L']. weight [filters, C / groups, k]. A size is one
// number here.
Layer conv1d(ConvOptions options);

struct DepthwiseOptions {
  std::int64_t multiplier = 1;  // filters of each channel
  Size2d kernel = 3, stride = 1;
  Padding padding = 0;
  Size2d dilation = 1;
  bool bias = true;
  Initializer init = torch_default();
  Initializer bias_init = {};
  PadMode padding_mode = PadMode::zeros;
};
// conv2d with as many groups as channels: weight [C multiplier, 1, kh, kw].
Layer depthwise_conv2d(DepthwiseOptions options = {});

struct ConvTransposeOptions {
  std::int64_t filters = 0;
  Size2d kernel = 3, stride = 1;
  Size2d padding = 0;         // taken away from each side of the result
  Size2d output_padding = 0;  // added to the end of the result, smaller than stride or dilation
  Size2d dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  Initializer init = torch_default();
  Initializer bias_init = {};
};
// The transpose of conv2d and conv1d: weight [C, filters / groups, kh, kw] or [C, filters / groups,
// k].
Layer conv_transpose2d(ConvTransposeOptions options);
Layer conv_transpose1d(ConvTransposeOptions options);

struct PoolOptions {
  Size2d kernel = 2;
  std::optional<Size2d> stride = {};  // none: the kernel's size
  Size2d padding = 0;                 // at most half the kernel
};
Layer max_pool2d(PoolOptions options = {});
Layer avg_pool2d(PoolOptions options = {});  // padding counts as zeros
Layer global_avg_pool2d();                   // [N, C, H, W] -> [N, C]
Layer global_max_pool2d();
// The same along sequences [N, C, L].
Layer max_pool1d(PoolOptions options = {});
Layer avg_pool1d(PoolOptions options = {});
Layer global_avg_pool1d();
Layer global_max_pool1d();

struct SubsampleOptions {
  Size2d stride = 2;
  std::int64_t channels = 0;  // of the result; 0: as many as there are
};
// Every stride-th pixel, channels of zeros added on both sides: a shortcut without parameters.
Layer subsample(SubsampleOptions options = {});

// ---- residual blocks ----
// activation(body(x) + shortcut(x)); null: x itself, no activation. Parameters are "body.0.weight",
// "shortcut.0.weight", ... where body and shortcut are sequential.
Layer residual(Layer body, Layer shortcut = nullptr, Layer activation = nullptr);

// ---- normalisation ----
struct BatchNormOptions {
  double eps = 1e-5, momentum = 0.1;  // momentum: the weight of the new statistics, as PyTorch
  bool affine = true;                 // scale by weight and shift by bias
};
// Over all axes but the second, with the statistics of the whole batch over all shards.
Layer batch_norm(BatchNormOptions options = {});

struct LayerNormOptions {
  int axes = 1;  // how many of the last axes are one unit
  double eps = 1e-5;
  bool affine = true;
  bool bias = true;  // where affine
};
Layer layer_norm(LayerNormOptions options = {});

struct RmsNormOptions {
  int axes = 1;
  std::optional<double> eps = {};  // none: the rounding of 1 in the type
  bool affine = true;
};
Layer rms_norm(RmsNormOptions options = {});  // x / sqrt(mean(x^2) + eps) over the last axes

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;
};
Layer group_norm(std::int64_t groups, GroupNormOptions options = {});  // [N, C, ...]
struct InstanceNormOptions {
  double eps = 1e-5;
  bool affine = false;
};
Layer instance_norm(InstanceNormOptions options = {});  // each channel a group
// ---- tokens: int64 [N, T] ----
struct EmbeddingOptions {
  std::int64_t vocabulary = 0, dim = 0;
  Initializer init = normal(1);
  // A token whose row is zero and stays so; layers that go over time leave it out (Scope::mask).
  std::optional<std::int64_t> padding_idx = {};
  // The gradient stays the rows of the batch's tokens, and the other rows are updated when they are
  // next looked up (optim/lazy_rows.h). For weights that are used here alone.
  bool sparse = false;
};
// Row of each token: [N, T] -> [N, T, dim]. weight [vocabulary, dim].
Layer embedding(EmbeddingOptions options);

// ---- transformers: [N, T, width] ----
// Added to x, a number for each position and feature. A trained weight [context, width] ...
struct PositionEmbeddingOptions {
  std::int64_t context = 0;  // positions there are
  Initializer init = normal(0.02);
};
Layer position_embedding(PositionEmbeddingOptions options);
// ... or sin and cos of the position over 10000^(2 i / width): Vaswani et al. 2017.
Layer sinusoidal_positions();

// Parameters are named as in nanoGPT: c_attn [3 width, width] holds those of q, k and v one after
// another (PyTorch's in_proj_weight), c_proj [width, width] is the output's.
struct MultiHeadAttentionOptions {
  std::int64_t heads = 1;  // divides the width
  bool causal = false;     // a position sees itself and those before
  bool bias = true;
  double dropout = 0;                // of the output
  double attention_dropout = 0;      // of the probabilities
  bool rotary = false;               // rotary position embedding of q and k (nn/rotary.h)
  Initializer init = {};             // of the weights; null: as PyTorch's linear layer, biases too
  Initializer projection_init = {};  // of c_proj; null: `init`
};
// Self-attention. Where the scope has a mask of tokens, padding is not attended to.
Layer multi_head_attention(MultiHeadAttentionOptions options);

enum class NormKind { layer, rms };
enum class MlpKind { gelu, swiglu };
// Before attention and MLP (and a last norm after all blocks), as in GPT-2; or after each sum, as
// in Vaswani et al. 2017.
enum class NormPlace { pre, post };
struct TransformerBlockOptions {
  MultiHeadAttentionOptions attention;  // dropout, bias and initialisers are the block's
  NormKind norm = NormKind::layer;
  NormPlace place = NormPlace::pre;
  MlpKind mlp = MlpKind::gelu;
  double ratio = 4;  // hidden units of the MLP, in widths
};
// x + attn(ln_1(x)), then x + mlp(ln_2(x)). gelu: c_proj(gelu(c_fc(x))); swiglu:
// c_proj(silu(c_gate(x)) c_fc(x)).
Layer transformer_block(TransformerBlockOptions options);

// ---- sequences, [N, T, F] ----
enum class Returns { sequence, last };
struct RecurrentLayerOptions {
  std::int64_t units = 0, layers = 1;
  bool bidirectional = false;  // outputs of both directions, one after another
  double dropout = 0;          // between the layers
  Returns returns = Returns::sequence;
  bool bias = true;
  std::int64_t truncate = 0;  // > 0: no gradient through the state at every so many steps
};
// All outputs of the last layer [N, T, units], or its state after the last step [N, units]. Where
// the scope has a mask of tokens, padding at the end of rows counts as no step.
Layer rnn(RecurrentLayerOptions options, const std::string& nonlinearity = "tanh");  // or "relu"
Layer lstm(RecurrentLayerOptions options);
// reset: the gate resets the state "after" its product with the weights, as PyTorch and cuDNN have
// it, or "before", as Cho et al. 2014 and the default of ONNX.
Layer gru(RecurrentLayerOptions options, const std::string& reset = "after");

// ---- shape and noise ----
Layer flatten();                   // [N, a, b, ...] -> [N, a b ...]
Layer dropout(double rate = 0.5);  // while training: zero with this probability, else / (1 - rate)

// ---- activations ----
Layer relu();
Layer leaky_relu(double slope = 0.01);
Layer gelu(const std::string& approximate = "none");  // "none": x Phi(x); "tanh": its approximation
Layer tanh();
Layer sigmoid();
Layer softmax(int axis = -1);
Layer silu();
Layer softplus(double beta = 1);
Layer identity();
// The activation of that name with its defaults, and all names.
Layer activation(const std::string& name, const std::string& where = {});
std::vector<std::string> activation_names();

}  // namespace descent::nn
