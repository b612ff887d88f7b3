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
  double factor = 1;            // of input and parameters, where numbers up to 2 are too large
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
  const auto padded = [](const char* mode, const char* padding) {
    return with({{"filters", 3}, {"padding", padding}, {"padding_mode", mode}});
  };
  const auto along = with({{"filters", 6},
                           {"kernel", 3},
                           {"stride", 2},
                           {"padding", "1"},
                           {"dilation", 2},
                           {"groups", 2},
                           {"padding_mode", "circular"}});
  const auto transposed = with({{"filters", 4},
                                {"kernel", Integers{3, 2}},
                                {"stride", Integers{3, 2}},
                                {"padding", Integers{1, 0}},
                                {"output_padding", Integers{2, 1}},
                                {"dilation", Integers{1, 2}},
                                {"groups", 2}});
  const std::vector<LayerConfig> body{
      inside("conv2d", with({{"filters", 2}, {"padding", 1}, {"bias", false}})),
      inside("batch_norm"), inside("tanh")};
  const std::vector<LayerConfig> half{
      inside("conv2d", with({{"filters", 5}, {"stride", 2}, {"padding", 1}}))};
  const std::vector<LayerConfig> shortcut{inside("subsample", with({{"channels", 5}}))};
  return {
      {"linear", "linear", linear, {4, 5}},
      {"linear_no_bias", "linear", with({{"units", 3}, {"bias", false}}), {4, 5}},
      {"linear_sequence", "linear", with({{"units", 2}}), {4, 2, 3}},
      {"conv2d", "conv2d", with({{"filters", 3}}), {4, 2, 5, 4}},
      {"conv2d_all_options", "conv2d", everything, {4, 4, 4, 5}},
      {"conv2d_same", "conv2d", same, {4, 2, 4, 3}},
      {"conv2d_same_strided", "conv2d", same_strided, {4, 2, 5, 4}},
      {"conv2d_reflect", "conv2d", padded("reflect", "2,1"), {4, 2, 4, 3}},
      {"conv2d_replicate", "conv2d", padded("replicate", "2,1"), {4, 2, 4, 3}},
      {"conv2d_circular", "conv2d", padded("circular", "2,1"), {4, 2, 4, 3}},
      {"conv2d_same_reflect", "conv2d", padded("reflect", "same"), {4, 2, 5, 4}},
      {"conv1d", "conv1d", with({{"filters", 3}}), {4, 2, 7}},
      {"conv1d_all_options", "conv1d", along, {4, 4, 9}},
      {"depthwise_conv2d", "depthwise_conv2d", {}, {4, 3, 4, 5}},
      {"depthwise_conv2d_multiplier",
       "depthwise_conv2d",
       with({{"multiplier", 2}, {"stride", 2}, {"padding", 1}, {"bias", false}}),
       {4, 3, 4, 5}},
      {"conv_transpose2d", "conv_transpose2d", with({{"filters", 3}}), {4, 2, 2, 3}},
      {"conv_transpose2d_all_options", "conv_transpose2d", transposed, {4, 4, 2, 2}},
      // Output padding of a stride and more.
      {"conv_transpose2d_dilated",
       "conv_transpose2d",
       with({{"filters", 3},
             {"kernel", 2},
             {"dilation", Integers{3, 2}},
             {"output_padding", Integers{2, 1}}}),
       {4, 2, 2, 2}},
      {"conv_transpose1d",
       "conv_transpose1d",
       with({{"filters", 3}, {"kernel", 4}, {"stride", 2}, {"padding", 1}}),
       {4, 2, 5}},
      {"max_pool1d", "max_pool1d", {}, {4, 2, 6}},
      {"max_pool1d_overlapping",
       "max_pool1d",
       with({{"kernel", 3}, {"stride", 2}, {"padding", 1}}),
       {4, 2, 6}},
      {"avg_pool1d", "avg_pool1d", with({{"kernel", 3}, {"padding", 1}}), {4, 2, 7}},
      {"global_avg_pool1d", "global_avg_pool1d", {}, {4, 3, 5}},
      {"global_max_pool1d", "global_max_pool1d", {}, {4, 3, 5}},
      {"global_max_pool2d", "global_max_pool2d", {}, {4, 3, 3, 2}},
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
      {"rms_norm", "rms_norm", {}, {4, 6}},
      {"layer_norm_images", "layer_norm", with({{"axes", 3}}), {4, 2, 3, 2}},
      {"layer_norm_no_bias", "layer_norm", with({{"bias", false}}), {4, 6}},
      {"rms_norm_images", "rms_norm", with({{"axes", 3}, {"eps", 1e-3}}), {4, 2, 3, 2}},
      {"rms_norm_not_affine", "rms_norm", with({{"affine", false}}), {4, 2, 5}},
      {"group_norm", "group_norm", with({{"groups", 2}}), {4, 4, 3, 2}},
      {"group_norm_rows", "group_norm", with({{"groups", 2}, {"eps", 1e-2}}), {4, 6}},
      {"group_norm_not_affine", "group_norm", with({{"groups", 1}, {"affine", false}}), {4, 2, 3}},
      {"instance_norm", "instance_norm", {}, images},
      {"instance_norm_affine", "instance_norm", with({{"affine", true}}), {4, 3, 5}},
      {"layer_norm_not_affine", "layer_norm", with({{"eps", 1e-2}, {"affine", false}}), {4, 6}},
      {"subsample", "subsample", {}, {4, 2, 5, 4}},
      {"subsample_channels",
       "subsample",
       with({{"channels", 5}, {"stride", Integers{1, 3}}}),
       {4, 2, 2, 5}},
      {.name = "residual",
       .layer = "residual",
       .options = with({{"layers", body}, {"activation", "relu"}}),
       .input = images,
       .by_mode = true},
      {"residual_shortcut", "residual", with({{"layers", half}, {"shortcut", shortcut}}), images},
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
      {"position_embedding", "position_embedding", with({{"context", 7}}), {4, 5, 3}},
      {"sinusoidal_positions", "sinusoidal_positions", {}, {4, 5, 6}},
      {.name = "multi_head_attention",
       .layer = "multi_head_attention",
       .options = with({{"heads", 2}}),
       .input = {4, 5, 4},
       .factor = 0.25},
      {.name = "multi_head_attention_causal",
       .layer = "multi_head_attention",
       .options = with({{"heads", 1}, {"causal", true}, {"bias", false}}),
       .input = {4, 5, 6},
       .factor = 0.25},
      {.name = "multi_head_attention_rotary",
       .layer = "multi_head_attention",
       .options = with({{"heads", 2}, {"causal", true}, {"rotary", true}}),
       .input = {4, 5, 8},
       .factor = 0.25},
      {.name = "multi_head_attention_dropout",
       .layer = "multi_head_attention",
       .options = with({{"heads", 2}, {"dropout", 0.4}}),
       .input = {4, 5, 8},
       .by_mode = true,
       .golden = false,
       .factor = 0.25},
      {.name = "transformer_block",
       .layer = "transformer_block",
       .options = with({{"heads", 2}, {"ratio", 2.0}}),
       .input = {4, 3, 4},
       .factor = 0.25},
      {.name = "transformer_block_post",
       .layer = "transformer_block",
       .options = with({{"heads", 2}, {"ratio", 2.0}, {"place", "post"}}),
       .input = {4, 3, 4},
       .factor = 0.25},
      {.name = "transformer_block_swiglu",
       .layer = "transformer_block",
       .options = with({{"heads", 2},
                        {"ratio", 1.5},
                        {"mlp", "swiglu"},
                        {"norm", "rms"},
                        {"bias", false},
                        {"causal", true},
                        {"rotary", true}}),
       .input = {4, 3, 4},
       .factor = 0.25},
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
