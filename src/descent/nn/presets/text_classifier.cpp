// Transformer encoder for classes of texts: embedding and positions, blocks of attention in both
// directions, the mean over the tokens that are no padding, a linear layer.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"
#include "descent/nn/transformer_options.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

struct ClassifierOptions {
  std::int64_t layers = 2, width = 128, context = 0, vocabulary = 0, classes = 0;
  std::optional<std::int64_t> padding;
  std::string positions = "learned";
  TransformerBlockOptions block;
  bool sparse = false;
};

class TextClassifier final : public Module {
 public:
  explicit TextClassifier(ClassifierOptions options) : o_(std::move(options)) {
    const auto init = normal(kTransformerDeviation);
    auto& attention = o_.block.attention;
    attention.rotary = o_.positions == "rotary";
    attention.init = init;
    attention.projection_init = normal(residual_deviation(o_.layers));
    add("wte", embedding({.vocabulary = o_.vocabulary,
                          .dim = o_.width,
                          .init = init,
                          .padding_idx = o_.padding,
                          .sparse = o_.sparse}));
    if (o_.positions == "learned") add("wpe", position_embedding({.context = o_.context}));
    if (o_.positions == "sinusoidal") add("wpe", sinusoidal_positions());
    if (attention.dropout > 0) add("drop", dropout(attention.dropout));
    const auto block = transformer_block(o_.block);
    for (std::int64_t i = 0; i < o_.layers; ++i) add(fmt::format("h.{}", i), block);
    if (o_.block.place == NormPlace::pre) add("ln_f", norm_layer(o_.block.norm, attention.bias));
    head_ = linear(o_.classes);
  }

  Value operator()(Scope& scope, const Value& tokens) const override {
    if (tokens.rank() != 2 || tokens.dtype() != DType::int64) {
      throw Error(ErrorKind::usage,
                  fmt::format("text_classifier wants int64 tokens [rows, time], not {}",
                              to_string(tokens.type())),
                  {}, "give it text, or integers below the vocabulary");
    }
    if (o_.padding) {
      scope.mask = not_equal(tokens, scalar(static_cast<double>(*o_.padding), DType::int64));
    }
    Value h = tokens;
    for (const auto& [name, layer] : layers_) h = call(layer, scope, name, h);
    return call(head_, scope, "head", mean_of_tokens(h, scope.mask));
  }

  std::string describe() const override {
    return fmt::format("text_classifier({} layers, width {})", o_.layers, o_.width);
  }
  std::vector<std::pair<std::string, Layer>> children() const override {
    auto all = layers_;
    all.emplace_back("head", head_);
    return all;
  }

 private:
  void add(std::string name, Layer layer) {
    layers_.emplace_back(std::move(name), std::move(layer));
  }

  // A text without tokens gives zeros.
  static Value mean_of_tokens(const Value& h, const Value& mask) {
    if (!mask) return mean(h, {1});
    const Value weight = expand_dims(cast(mask, h.dtype()), -1);
    return sum(h * weight, {1}) / maximum(sum(weight, {1}), 1);
  }

  ClassifierOptions o_;
  std::vector<std::pair<std::string, Layer>> layers_;
  Layer head_;
};

Layer make(const Options& options, const Problem& problem) {
  if (problem.vocabulary < 1) {
    throw Error(ErrorKind::usage, "text_classifier wants texts", "[model]",
                "for rows of numbers choose the model mlp");
  }
  ClassifierOptions wanted{.layers = options.integer("layers"),
                           .width = options.integer("width"),
                           .context = options.integer("context"),
                           .vocabulary = problem.vocabulary,
                           .classes = problem.outputs,
                           .positions = options.text("positions"),
                           .block = block_from(options),
                           .sparse = options.boolean("sparse")};
  if (wanted.context == 0) wanted.context = problem.sample[0];
  if (options.integer("padding_idx") >= 0) wanted.padding = options.integer("padding_idx");
  return std::make_shared<const TextClassifier>(std::move(wanted));
}

}  // namespace

void register_text_classifier(PresetRegistry& registry) {
  auto options = transformer_options(true, 0.1);
  options.push_back({.key = "padding_idx",
                     .type = OptionType::integer,
                     .fallback = 0,
                     .help = "token that fills up short texts, which is not looked at; -1: none",
                     .min = -1});
  options.push_back(sparse_option());
  registry.add({.name = "text_classifier",
                .help = "transformer that reads a text in both directions and gives its class",
                .options = std::move(options),
                .make = make});
}

}  // namespace descent::nn
