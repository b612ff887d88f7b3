// Products, normalisation, softmax, recurrent layers.
#include "descent/nn/layers.h"

#include "descent/nn/registry.h"
#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

using Bound = std::map<std::string, Value>;

struct Applied {
  Value y;
  Bound updated;  // buffers
};
Applied apply_layer(const nn::Layer& layer, Bound bound, const Value& x, bool training = false) {
  nn::Scope scope(std::move(bound), training, {}, x.dtype());
  const Value y = (*layer)(scope, x);
  return {y, scope.updated()};
}

// A layer as a configuration names it: one that this build does not have is not covered.
nn::Layer registered(const std::string& name,
                     const std::vector<std::pair<std::string, OptionValue>>& given) {
  const auto* entry = nn::layers().find(name);
  if (entry == nullptr) throw Uncovered{"there is no layer " + name};
  Options options;
  for (const auto& [key, value] : given) options.set(key, value);
  return entry->make(resolve(entry->options, options, name));
}

Values gemm(const Node& n) {
  Value y = matmul(n[0], n[1], n.integer("transA", 0) != 0, n.integer("transB", 0) != 0);
  if (n.attribute("alpha") != nullptr) y = y * n.number("alpha", 1);
  if (n.has(2)) y = y + (n.attribute("beta") != nullptr ? n[2] * n.number("beta", 1) : n[2]);
  return {y};
}

// ONNX keeps 1 - momentum as momentum, and the variance of the population where PyTorch and we keep
// that of the sample.
Values batch_normalization(const Node& n) {
  const bool training = n.integer("training_mode", 0) != 0;
  const double keep = n.number("momentum", 0.9);
  const auto layer = nn::batch_norm({.eps = n.number("epsilon", 1e-5), .momentum = 1 - keep});
  const auto done = apply_layer(
      layer, {{"weight", n[1]}, {"bias", n[2]}, {"running_mean", n[3]}, {"running_var", n[4]}},
      n[0], training);
  if (!training) return {done.y};
  const auto& s = n[0].shape();
  const double count = static_cast<double>(s.size() / s[1]);
  const Value var = done.updated.at("running_var"), old = keep * n[4];
  return {done.y, done.updated.at("running_mean"), (var - old) * ((count - 1) / count) + old};
}

// Y alone: the statistics that ONNX gives as well are inside of the layer.
Values layer_normalization(const Node& n) {
  const int rank = n[0].rank();
  auto axis = static_cast<int>(n.integer("axis", -1));
  if (axis < 0) axis += rank;
  const auto layer = nn::layer_norm({.axes = rank - axis, .eps = n.number("epsilon", 1e-5)});
  Bound bound{{"weight", n[1]}};
  bound["bias"] = n.has(2) ? n[2] : zeros_like(n[1]);
  // The first axis of a layer's input counts rows.
  return {squeeze(apply_layer(layer, bound, expand_dims(n[0], 0)).y, 0)};
}

Values instance_normalization(const Node& n) {
  const auto layer =
      registered("instance_norm", {{"eps", n.number("epsilon", 1e-5)}, {"affine", true}});
  return {apply_layer(layer, {{"weight", n[1]}, {"bias", n[2]}}, n[0]).y};
}

// Rows of the gates in ONNX's order, i o f c, as PyTorch has them, i f c o.
Value reordered(const Value& w, const std::vector<int>& order) {
  const auto rows = w.shape()[0] / static_cast<std::int64_t>(order.size());
  Values parts;
  for (const int k : order) parts.push_back(slice(w, 0, k * rows, (k + 1) * rows));
  return concat(parts);
}

// X [T, N, F] (layout 1: [N, T, F]), W [1, gates H, F], R [1, gates H, H], B [1, 2 gates H].
// Outputs Y [T, 1, N, H] and Y_h [1, N, H] ([N, T, 1, H] and [N, 1, H]).
Values recurrent(const Node& n, const std::string& name, const std::vector<int>& order,
                 std::vector<std::pair<std::string, OptionValue>> options = {}) {
  for (int i = 4; i < n.inputs(); ++i) {
    if (n.has(i)) throw Uncovered{"lengths, initial states or peepholes"};
  }
  if (n.text("direction", "forward") != "forward") throw Uncovered{"direction"};
  const auto hidden = n.integer("hidden_size", 0);
  options.emplace_back("units", hidden);
  const auto layer = registered(name, options);
  const Value w = squeeze(n[1], 0), r = squeeze(n[2], 0);
  const auto rows = w.shape()[0];
  const Value b = n.has(3) ? squeeze(n[3], 0) : zeros({w.dtype(), {2 * rows}, false});
  const bool batch_first = n.integer("layout", 0) == 1;
  const Value x = batch_first ? n[0] : transpose(n[0], {1, 0, 2});
  const auto done = apply_layer(layer,
                                {{"weight_ih_l0", reordered(w, order)},
                                 {"weight_hh_l0", reordered(r, order)},
                                 {"bias_ih_l0", reordered(slice(b, 0, 0, rows), order)},
                                 {"bias_hh_l0", reordered(slice(b, 0, rows, 2 * rows), order)}},
                                x);
  const auto steps = x.shape()[1];
  const Value last = slice(done.y, 1, steps - 1, steps);  // [N, 1, H]
  if (batch_first) return {expand_dims(done.y, 2), last};
  return {expand_dims(transpose(done.y, {1, 0, 2}), 1), transpose(last, {1, 0, 2})};
}

}  // namespace

void add_layers(Table& table) {
  table["Gemm"] = gemm;
  table["MatMul"] = [](const Node& n) {
    if (!is_floating(n[0].dtype())) throw Uncovered{"integers"};
    return Values{matmul(n[0], n[1])};
  };
  table["BatchNormalization"] = batch_normalization;
  table["LayerNormalization"] = layer_normalization;
  table["InstanceNormalization"] = instance_normalization;
  table["Softmax"] = [](const Node& n) {
    return Values{softmax(n[0], static_cast<int>(n.integer("axis", -1)))};
  };
  table["LogSoftmax"] = [](const Node& n) {
    return Values{log_softmax(n[0], static_cast<int>(n.integer("axis", -1)))};
  };
  table["LSTM"] = [](const Node& n) { return recurrent(n, "lstm", {0, 2, 3, 1}); };
  table["RNN"] = [](const Node& n) { return recurrent(n, "rnn", {0}); };
  table["GRU"] = [](const Node& n) {
    const char* reset = n.integer("linear_before_reset", 0) == 0 ? "before" : "after";
    return recurrent(n, "gru", {1, 0, 2}, {{"reset", reset}});
  };
}

}  // namespace descent::onnx_test
