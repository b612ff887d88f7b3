// The table of layers: one row per registered layer at least, each run through every shared check
// of layer_test.cpp. A new layer adds its rows here and its PyTorch twin to LAYERS of
// tests/golden/nn_golden.py.
#pragma once
#include "tests/nn/harness.h"

namespace descent::nn::test {

struct LayerCase {
  std::string name;   // of the case, also in the golden file
  std::string layer;  // in the registry
  Options options;
  Shape input;
  bool training = true;
  bool by_mode = false;         // training and evaluation differ
  bool golden = true;           // false: random, no other implementation draws the same
  std::int64_t vocabulary = 0;  // the input is tokens below it; 0: numbers
};
inline void PrintTo(const LayerCase& c, std::ostream* out) { *out << c.name; }

inline std::vector<LayerCase> layer_cases() {
  const Shape images{4, 2, 3, 3};
  const Shape sequence{4, 3, 2};
  const auto linear = with({{"units", 3}});
  const auto recurrent = [](std::vector<std::pair<std::string, OptionValue>> values) {
    values.emplace_back("units", 3);
    return with(std::move(values));
  };
  const auto everything = with({{"filters", 6},
                                {"kernel", Integers{3, 2}},
                                {"stride", Integers{2, 1}},
                                {"padding", "1,0"},
                                {"dilation", Integers{2, 3}},
                                {"groups", 2}});
  const auto same = with({{"filters", 3},
                          {"kernel", Integers{4, 3}},
                          {"padding", "same"},
                          {"dilation", Integers{1, 2}},
                          {"bias", false}});
  const auto same_strided = with(
      {{"filters", 3}, {"kernel", Integers{4, 2}}, {"padding", "same"}, {"stride", Integers{2}}});
  const auto overlapping =
      with({{"kernel", Integers{3, 2}}, {"stride", Integers{2, 1}}, {"padding", Integers{1, 1}}});
  return {
      {"linear", "linear", linear, {4, 5}},
      {"linear_no_bias", "linear", with({{"units", 3}, {"bias", false}}), {4, 5}},
      {"linear_sequence", "linear", with({{"units", 2}}), {4, 2, 3}},
      {"conv2d", "conv2d", with({{"filters", 3}}), {4, 2, 5, 4}},
      {"conv2d_all_options", "conv2d", everything, {4, 4, 4, 5}},
      {"conv2d_same", "conv2d", same, {4, 2, 4, 3}},
      {"conv2d_same_strided", "conv2d", same_strided, {4, 2, 5, 4}},
      {"max_pool2d", "max_pool2d", {}, {4, 2, 4, 4}},
      {"max_pool2d_overlapping", "max_pool2d", overlapping, {4, 2, 4, 3}},
      {"avg_pool2d", "avg_pool2d", {}, {4, 2, 4, 4}},
      {"avg_pool2d_overlapping", "avg_pool2d", overlapping, {4, 2, 4, 3}},
      {"global_avg_pool2d", "global_avg_pool2d", {}, {4, 3, 3, 2}},
      {.name = "batch_norm", .layer = "batch_norm", .input = {8, 3}, .by_mode = true},
      {.name = "batch_norm_images",
       .layer = "batch_norm",
       .options = with({{"eps", 1e-3}, {"momentum", 0.3}}),
       .input = images,
       .by_mode = true},
      {.name = "batch_norm_not_affine",
       .layer = "batch_norm",
       .options = with({{"affine", false}}),
       .input = {8, 3},
       .by_mode = true},
      {.name = "batch_norm_evaluation",
       .layer = "batch_norm",
       .input = images,
       .training = false,
       .by_mode = true},
      {"layer_norm", "layer_norm", {}, {4, 6}},
      {"layer_norm_images", "layer_norm", with({{"axes", 3}}), {4, 2, 3, 2}},
      {"layer_norm_not_affine", "layer_norm", with({{"eps", 1e-2}, {"affine", false}}), {4, 6}},
      {.name = "dropout",
       .layer = "dropout",
       .options = with({{"rate", 0.4}}),
       .input = {4, 6},
       .by_mode = true,
       .golden = false},
      {.name = "dropout_evaluation",
       .layer = "dropout",
       .options = with({{"rate", 0.4}}),
       .input = {4, 6},
       .training = false,
       .by_mode = true},
      {.name = "embedding",
       .layer = "embedding",
       .options = with({{"vocabulary", 5}, {"dim", 3}}),
       .input = {4, 6},
       .vocabulary = 5},
      {.name = "embedding_padding",
       .layer = "embedding",
       .options = with({{"vocabulary", 5}, {"dim", 3}, {"padding_idx", 2}}),
       .input = {4, 6},
       .vocabulary = 5},
      {"flatten", "flatten", {}, {4, 2, 3}},
      {"relu", "relu", {}, {4, 7}},
      {"leaky_relu", "leaky_relu", {}, {4, 7}},
      {"leaky_relu_steep", "leaky_relu", with({{"slope", 0.3}}), {4, 7}},
      {"gelu", "gelu", {}, {4, 7}},
      {"gelu_tanh", "gelu", with({{"approximate", "tanh"}}), {4, 7}},
      {"tanh", "tanh", {}, {4, 7}},
      {"sigmoid", "sigmoid", {}, {4, 7}},
      {"softmax", "softmax", {}, {4, 7}},
      {"softmax_channels", "softmax", with({{"axis", 1}}), {4, 3, 2}},
      {"silu", "silu", {}, {4, 7}},
      {"softplus", "softplus", {}, {4, 7}},
      {"softplus_sharp", "softplus", with({{"beta", 3.0}}), {4, 7}},
      {"identity", "identity", {}, {4, 7}},
      {"rnn", "rnn", recurrent({}), sequence},
      {"rnn_relu", "rnn", recurrent({{"nonlinearity", "relu"}, {"bias", false}}), sequence},
      {"rnn_bidirectional", "rnn", recurrent({{"bidirectional", true}}), sequence},
      {"lstm", "lstm", recurrent({}), sequence},
      {"lstm_stacked", "lstm", recurrent({{"layers", 2}, {"bidirectional", true}}), sequence},
      {"lstm_last", "lstm", recurrent({{"return", "last"}, {"bias", false}}), sequence},
      {.name = "lstm_dropout",
       .layer = "lstm",
       .options = recurrent({{"layers", 2}, {"dropout", 0.4}}),
       .input = sequence,
       .by_mode = true,
       .golden = false},
      {"gru", "gru", recurrent({}), sequence},
      {"gru_stacked_last", "gru",
       recurrent({{"layers", 2}, {"bidirectional", true}, {"return", "last"}}), sequence},
  };
}

}  // namespace descent::nn::test
