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
// Zeros around an image: a number of rows and columns on both sides, or as many as keep the size.
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
  Initializer bias_init = {};  // null: as PyTorch, U(-1/sqrt(fan_in), 1/sqrt(fan_in))
};
// Cross-correlation: [N, C, H, W] -> [N, filters, H', W']. weight [filters, C / groups, kh, kw].
Layer conv2d(ConvOptions options);

struct PoolOptions {
  Size2d kernel = 2;
  std::optional<Size2d> stride = {};  // none: the kernel's size
  Size2d padding = 0;                 // at most half the kernel
};
Layer max_pool2d(PoolOptions options = {});
Layer avg_pool2d(PoolOptions options = {});  // padding counts as zeros
Layer global_avg_pool2d();                   // [N, C, H, W] -> [N, C]

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
};
Layer layer_norm(LayerNormOptions options = {});

// ---- tokens: int64 [N, T] ----
struct EmbeddingOptions {
  std::int64_t vocabulary = 0, dim = 0;
  Initializer init = normal(1);
  // A token whose row is zero and stays so; layers that go over time leave it out (Scope::mask).
  std::optional<std::int64_t> padding_idx = {};
};
// Row of each token: [N, T] -> [N, T, dim]. weight [vocabulary, dim].
Layer embedding(EmbeddingOptions options);

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
Layer gru(RecurrentLayerOptions options);

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
