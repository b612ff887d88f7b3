// Recurrent layers, stacked and in one or two directions: rnn, lstm and gru, as torch.nn.RNN, LSTM
// and GRU with batch_first. Parameters have PyTorch's names and layouts: weight_ih_l0 [gates units,
// inputs], weight_hh_l0 [gates units, units], bias_ih_l0, bias_hh_l0, ..._l0_reverse, ..._l1. Rows
// that are padded at their end (Scope::mask) keep their state there and give zeros, as packed
// sequences do. The formulas stand in kernels/recurrent.h.
#include "descent/autodiff/recurrent.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/ir/op.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

std::int64_t gates(Cell cell) { return cell == Cell::lstm ? 4 : kernels::is_gru(cell) ? 3 : 1; }
std::string name_of(Cell cell) {
  return cell == Cell::lstm ? "lstm" : kernels::is_gru(cell) ? "gru" : "rnn";
}

class Recurrent final : public Module {
 public:
  Recurrent(Cell cell, RecurrentLayerOptions options) : cell_(cell), o_(options) {
    const auto refuse = [&](const std::string& why) {
      throw Error(ErrorKind::usage, why, name_of(cell_));
    };
    if (o_.units < 1 || o_.layers < 1)
      refuse(fmt::format("units {} and layers {} must be at least 1", o_.units, o_.layers));
    if (o_.dropout < 0 || o_.dropout >= 1)
      refuse(fmt::format("dropout {} must be at least 0 and below 1", o_.dropout));
    if (o_.truncate < 0) refuse(fmt::format("truncate {} must be at least 0", o_.truncate));
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.rank() != 3 || !is_floating(x.dtype())) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} wants sequences [rows, time, features], not {}", name_of(cell_),
                              to_string(x.type())),
                  {}, "put an embedding before it for tokens");
    }
    if (scope.decoding() && o_.bidirectional) {
      throw Error(ErrorKind::usage, "a bidirectional layer cannot go token by token", {},
                  "set bidirectional = false for a language model");
    }
    const Value mask = mask_for(scope, x);
    Value y = time_first(x), last;
    for (std::int64_t l = 0; l < o_.layers; ++l) {
      if (l > 0) y = dropped(scope, y, l);
      const auto forward = direction(scope, y, mask, l, false);
      if (!o_.bidirectional) {
        y = forward.output, last = forward.state.h;
        continue;
      }
      const auto backward = direction(scope, y, mask, l, true);
      y = concat({forward.output, backward.output}, 2);
      last = concat({forward.state.h, backward.state.h}, 1);
    }
    return o_.returns == Returns::last ? last : transpose(y, {1, 0, 2});
  }

  std::string describe() const override {
    return fmt::format("{}({}{}{}{}{}{})", name_of(cell_), o_.units,
                       o_.layers > 1 ? fmt::format(", {} layers", o_.layers) : "",
                       o_.bidirectional ? ", bidirectional" : "",
                       o_.returns == Returns::last ? ", last" : "", o_.bias ? "" : ", no bias",
                       cell_ == Cell::gru_reset_before ? ", reset before" : "");
  }

 private:
  // [N, T, F] to [T, N, F]. Of rows looked up by token the tokens are turned round instead.
  static Value time_first(const Value& x) {
    const auto& node = *x.node();
    if (node.op->name() == "gather" && node.inputs[1].rank() == 2)
      return gather(node.inputs[0], transpose(node.inputs[1]));
    return transpose(x, {1, 0, 2});
  }

  // Rows first while it is drawn: a row's numbers do not depend on how many rows a shard has.
  Value dropped(const Scope& scope, const Value& y, std::int64_t layer) const {
    if (o_.dropout == 0 || !scope.training()) return y;
    const auto stream = static_cast<std::uint64_t>(layer);
    const Value x = transpose(y, {1, 0, 2});
    return transpose(descent::dropout(x, scope.key(), o_.dropout, stream), {1, 0, 2});
  }

  // [N, T] of any type to bool [T, N].
  static Value mask_for(const Scope& scope, const Value& x) {
    const Value& mask = scope.mask;
    if (!mask) return {};
    if (mask.rank() != 2 || mask.shape()[0] != x.shape()[0] || mask.shape()[1] != x.shape()[1]) {
      throw Error(ErrorKind::usage,
                  fmt::format("the mask of padding {} does not fit sequences {}",
                              to_string(mask.type()), to_string(x.type())),
                  {}, "leave out what changes the length of sequences, or the padding");
    }
    return transpose(cast(mask, DType::boolean));
  }

  RecurrentResult direction(Scope& scope, const Value& x, const Value& mask, std::int64_t layer,
                            bool reverse) const {
    const std::string suffix = fmt::format("_l{}{}", layer, reverse ? "_reverse" : "");
    const std::int64_t rows = gates(cell_) * o_.units;
    const auto init = uniform(1 / std::sqrt(static_cast<double>(o_.units)));
    RecurrentWeights weights{scope.parameter("weight_ih" + suffix, {rows, x.shape()[2]}, init),
                             scope.parameter("weight_hh" + suffix, {rows, o_.units}, init),
                             {},
                             {}};
    if (o_.bias) {
      weights.bias_ih = scope.parameter("bias_ih" + suffix, {rows}, init, false);
      weights.bias_hh = scope.parameter("bias_hh" + suffix, {rows}, init, false);
    }
    RecurrentState before;
    const Shape state{x.shape()[1], o_.units};
    const bool lstm = cell_ == Cell::lstm;
    if (scope.decoding()) before.h = scope.cache("h" + suffix, state);
    if (scope.decoding() && lstm) before.c = scope.cache("c" + suffix, state);
    auto result =
        recurrent(cell_, x, weights, before, mask,
                  {.reverse = reverse, .truncate = o_.truncate, .operands = scope.compute});
    if (scope.decoding()) scope.update_cache("h" + suffix, result.state.h);
    if (scope.decoding() && lstm) scope.update_cache("c" + suffix, result.state.c);
    return result;
  }

  Cell cell_;
  RecurrentLayerOptions o_;
};

std::vector<Option> shared_options() {
  return {{.key = "units",
           .type = OptionType::integer,
           .help = "units of each layer and direction",
           .min = 1,
           .required = true},
          {.key = "layers",
           .type = OptionType::integer,
           .fallback = 1,
           .help = "layers, each reading the one before",
           .min = 1},
          {.key = "bidirectional",
           .type = OptionType::boolean,
           .fallback = false,
           .help = "also from the end to the beginning; outputs of both"},
          {.key = "dropout",
           .type = OptionType::number,
           .fallback = 0.0,
           .help = "rate between the layers; below 1",
           .min = 0,
           .max = 1},
          {.key = "return",
           .fallback = "sequence",
           .help = "outputs of all steps [N, T, units], or the last state [N, units]",
           .choices = {"sequence", "last"}},
          {.key = "bias", .type = OptionType::boolean, .fallback = true, .help = "add two biases"},
          {.key = "truncate",
           .type = OptionType::integer,
           .fallback = 0,
           .help = "no gradient through the state at every so many steps (truncated "
                   "backpropagation through time); 0: through all",
           .min = 0}};
}

RecurrentLayerOptions options_from(const Options& options) {
  return {.units = options.integer("units"),
          .layers = options.integer("layers"),
          .bidirectional = options.boolean("bidirectional"),
          .dropout = options.number("dropout"),
          .returns = options.text("return") == "last" ? Returns::last : Returns::sequence,
          .bias = options.boolean("bias"),
          .truncate = options.integer("truncate")};
}

}  // namespace

Layer rnn(RecurrentLayerOptions options, const std::string& nonlinearity) {
  if (nonlinearity != "tanh" && nonlinearity != "relu") {
    throw Error(ErrorKind::usage, fmt::format("nonlinearity \"{}\" is not known", nonlinearity),
                "rnn", "use tanh or relu");
  }
  return std::make_shared<const Recurrent>(nonlinearity == "relu" ? Cell::rnn_relu : Cell::rnn_tanh,
                                           options);
}
Layer lstm(RecurrentLayerOptions options) {
  return std::make_shared<const Recurrent>(Cell::lstm, options);
}
Layer gru(RecurrentLayerOptions options, const std::string& reset) {
  if (reset != "after" && reset != "before") {
    throw Error(ErrorKind::usage, fmt::format("reset \"{}\" is not known", reset), "gru",
                "use after or before");
  }
  return std::make_shared<const Recurrent>(reset == "before" ? Cell::gru_reset_before : Cell::gru,
                                           options);
}

void register_recurrent(LayerRegistry& registry) {
  auto with_nonlinearity = shared_options();
  with_nonlinearity.push_back({.key = "nonlinearity",
                               .fallback = "tanh",
                               .help = "of each unit",
                               .choices = {"tanh", "relu"}});
  registry.add({.name = "rnn",
                .help = "recurrent layer over sequences [N, T, F] (torch.nn.RNN)",
                .options = std::move(with_nonlinearity),
                .make = [](const Options& options) {
                  return rnn(options_from(options), options.text("nonlinearity"));
                }});
  registry.add({.name = "lstm",
                .help = "long short-term memory over sequences [N, T, F] (torch.nn.LSTM)",
                .options = shared_options(),
                .make = [](const Options& options) { return lstm(options_from(options)); }});
  auto with_reset = shared_options();
  with_reset.push_back({.key = "reset",
                        .fallback = "after",
                        .help = "the gate resets the state after its product with the weights "
                                "(PyTorch, cuDNN), or before it (Cho et al. 2014, ONNX)",
                        .choices = {"after", "before"}});
  registry.add({.name = "gru",
                .help = "gated recurrent units over sequences [N, T, F] (torch.nn.GRU)",
                .options = std::move(with_reset),
                .make = [](const Options& options) {
                  return gru(options_from(options), options.text("reset"));
                }});
}

}  // namespace descent::nn
