// Recurrent language model: tokens [N, T] to logits [N, T, vocabulary] through an embedding, a
// stack of recurrent layers and a linear layer. On sequences of numbers [N, T, F] the same without
// an embedding: outputs for every step, or for each row from its last state.
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/product.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

struct CharRnnOptions {
  std::int64_t vocabulary = 0;  // 0: sequences of numbers
  std::int64_t embedding = 128, outputs = 1;
  std::string cell = "lstm";
  RecurrentLayerOptions recurrent;
  bool tied = false, sparse = false;
  std::optional<std::int64_t> padding = {};
};

Layer cell_layer(const CharRnnOptions& o) {
  if (o.cell == "lstm") return lstm(o.recurrent);
  return o.cell == "gru" ? gru(o.recurrent) : rnn(o.recurrent);
}

class CharRnn final : public Module {
 public:
  explicit CharRnn(CharRnnOptions options) : o_(std::move(options)) {
    const auto width = o_.recurrent.units * (o_.recurrent.bidirectional ? 2 : 1);
    if (o_.tied && (o_.vocabulary == 0 || o_.embedding != width)) {
      throw Error(ErrorKind::usage,
                  o_.vocabulary == 0
                      ? std::string("tied needs an embedding, which sequences of numbers have not")
                      : fmt::format("tied needs an embedding as wide as the output of the layers, "
                                    "{}, not {}",
                                    width, o_.embedding),
                  "char_rnn", "set tied = false, or embedding to that width");
    }
    if (o_.sparse && o_.vocabulary == 0) {
      throw Error(ErrorKind::usage,
                  "sparse needs an embedding, which sequences of numbers have not", "char_rnn",
                  "leave it out");
    }
    if (o_.vocabulary > 0) {
      EmbeddingOptions embedded{
          .vocabulary = o_.vocabulary, .dim = o_.embedding, .sparse = o_.sparse};
      // As the output's matrix, rows of unit variance would give logits far from 0.
      if (o_.tied) embedded.init = uniform(1 / std::sqrt(static_cast<double>(o_.embedding)));
      layers_.emplace_back("embedding", nn::embedding(std::move(embedded)));
    }
    layers_.emplace_back("rnn", cell_layer(o_));
    if (o_.recurrent.dropout > 0) layers_.emplace_back("dropout", dropout(o_.recurrent.dropout));
    if (!o_.tied) layers_.emplace_back("head", linear(o_.outputs));
  }

  Value operator()(Scope& scope, const Value& x) const override {
    const bool tokens = x.rank() == 2 && x.dtype() == DType::int64;
    const bool numbers = x.rank() == 3 && is_floating(x.dtype());
    if (o_.vocabulary > 0 ? !tokens : !numbers) {
      throw Error(ErrorKind::usage,
                  fmt::format("char_rnn wants {}, not {}",
                              o_.vocabulary > 0 ? "int64 tokens [rows, time]"
                                                : "numbers [rows, time, features]",
                              to_string(x.type())));
    }
    if (o_.padding) scope.mask = not_equal(x, scalar(static_cast<double>(*o_.padding), x.dtype()));
    Value y = x;
    for (const auto& [name, layer] : layers_) y = call(layer, scope, name, y);
    if (!o_.tied) return y;
    const auto weight = scope.parameter("embedding.weight", {o_.vocabulary, o_.embedding}, zeros());
    const auto bias = scope.parameter("head.bias", {o_.vocabulary}, zeros(), false);
    return product(scope, y, weight) + bias;
  }

  std::string describe() const override { return fmt::format("char_rnn({})", o_.cell); }
  std::vector<std::pair<std::string, Layer>> children() const override { return layers_; }

 private:
  CharRnnOptions o_;
  std::vector<std::pair<std::string, Layer>> layers_;
};

Layer make(const Options& options, const Problem& problem) {
  const auto rank = problem.sample.rank();
  if (problem.vocabulary > 0 ? rank != 1 : rank != 2) {
    throw Error(ErrorKind::usage,
                fmt::format("rows of shape {} are no sequences", to_string(problem.sample)),
                "char_rnn", "use text, tokens, or rows of [time, features]");
  }
  CharRnnOptions wanted{
      .vocabulary = problem.vocabulary,
      .embedding = options.integer("embedding"),
      .outputs = problem.outputs,
      .cell = options.text("cell"),
      .recurrent = {.units = options.integer("units"),
                    .layers = options.integer("layers"),
                    .bidirectional = options.boolean("bidirectional"),
                    .dropout = options.number("dropout"),
                    .returns = options.text("return") == "last" ? Returns::last : Returns::sequence,
                    .truncate = options.integer("truncate")},
      .tied = options.boolean("tied"),
      .sparse = options.boolean("sparse")};
  if (options.integer("padding") >= 0 && problem.vocabulary > 0)
    wanted.padding = options.integer("padding");
  return std::make_shared<const CharRnn>(std::move(wanted));
}

}  // namespace

void register_char_rnn(PresetRegistry& registry) {
  registry.add(
      {.name = "char_rnn",
       .help = "recurrent language model, or recurrent layers over sequences of numbers",
       .options = {{.key = "cell",
                    .fallback = "lstm",
                    .help = "kind of the recurrent layers",
                    .choices = {"lstm", "gru", "rnn"}},
                   {.key = "embedding",
                    .type = OptionType::integer,
                    .fallback = 128,
                    .help = "numbers for each token",
                    .min = 1},
                   {.key = "units",
                    .type = OptionType::integer,
                    .fallback = 256,
                    .help = "units of each recurrent layer",
                    .min = 1},
                   {.key = "layers",
                    .type = OptionType::integer,
                    .fallback = 2,
                    .help = "recurrent layers",
                    .min = 1},
                   {.key = "bidirectional",
                    .type = OptionType::boolean,
                    .fallback = false,
                    .help = "also from the end to the beginning (not for a language model)"},
                   {.key = "dropout",
                    .type = OptionType::number,
                    .fallback = 0.0,
                    .help = "rate between the layers and after the last; below 1",
                    .min = 0,
                    .max = 1},
                   {.key = "return",
                    .fallback = "sequence",
                    .help = "outputs for every step, or for each row from the last state",
                    .choices = {"sequence", "last"}},
                   {.key = "truncate",
                    .type = OptionType::integer,
                    .fallback = 0,
                    .help = "no gradient through the state at every so many steps; 0: through all",
                    .min = 0},
                   {.key = "tied",
                    .type = OptionType::boolean,
                    .fallback = false,
                    .help = "the output matrix is that of the embedding"},
                   sparse_option(),
                   {.key = "padding",
                    .type = OptionType::integer,
                    .fallback = -1,
                    .help = "token that fills rows at their end; -1: none",
                    .min = -1}},
       .make = make});
}

}  // namespace descent::nn
