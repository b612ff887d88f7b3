// GPT: a causal transformer that gives, at each position, the logits of the next token (Radford et
// al. 2019). Structure, names of parameters and initial values are nanoGPT's (without its
// "transformer."):
//
//   h = dropout(wte(tokens) + wpe)
//   h = h + attn(ln_1(h)),  h = h + mlp(ln_2(h))    for each block h.0, h.1, ...
//   logits = ln_f(h) wte^T                          (tied; else lm_head)
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/product.h"
#include "descent/nn/registry.h"
#include "descent/nn/transformer_options.h"

namespace descent::nn {
namespace {

struct GptOptions {
  std::int64_t layers = 4, width = 128, context = 0, vocabulary = 0;
  std::string positions = "learned";
  bool tied = true, residual_scale = true, sparse = false;
  TransformerBlockOptions block;
};

class Gpt final : public Module {
 public:
  explicit Gpt(GptOptions options) : o_(std::move(options)) {
    const auto init = normal(kTransformerDeviation);
    auto& attention = o_.block.attention;
    attention.causal = true;
    attention.rotary = o_.positions == "rotary";
    attention.init = init;
    if (o_.residual_scale) attention.projection_init = normal(residual_deviation(o_.layers));
    add("wte",
        embedding(
            {.vocabulary = o_.vocabulary, .dim = o_.width, .init = init, .sparse = o_.sparse}));
    if (o_.positions == "learned") add("wpe", position_embedding({.context = o_.context}));
    if (o_.positions == "sinusoidal") add("wpe", sinusoidal_positions());
    if (attention.dropout > 0) add("drop", dropout(attention.dropout));
    const auto block = transformer_block(o_.block);
    for (std::int64_t i = 0; i < o_.layers; ++i) add(fmt::format("h.{}", i), block);
    // After a post-norm block everything is normalised already.
    if (o_.block.place == NormPlace::pre) add("ln_f", norm_layer(o_.block.norm, attention.bias));
    if (!o_.tied) add("lm_head", linear(o_.vocabulary, {.bias = false, .init = init}));
  }

  Value operator()(Scope& scope, const Value& tokens) const override {
    if (tokens.rank() != 2 || tokens.dtype() != DType::int64) {
      throw Error(
          ErrorKind::usage,
          fmt::format("gpt wants int64 tokens [rows, time], not {}", to_string(tokens.type())), {},
          "give it text, or integers below the vocabulary");
    }
    Value h = tokens;
    for (const auto& [name, layer] : layers_) h = call(layer, scope, name, h);
    if (!o_.tied) return h;
    // Shared with the embedding, which has given it its initial values.
    const auto weight = scope.parameter("wte.weight", {o_.vocabulary, o_.width}, zeros());
    return product(scope, h, weight);
  }

  std::string describe() const override {
    return fmt::format("gpt({} layers, width {})", o_.layers, o_.width);
  }
  std::vector<std::pair<std::string, Layer>> children() const override { return layers_; }

 private:
  void add(std::string name, Layer layer) {
    layers_.emplace_back(std::move(name), std::move(layer));
  }
  GptOptions o_;
  std::vector<std::pair<std::string, Layer>> layers_;
};

Layer make(const Options& options, const Problem& problem) {
  if (problem.vocabulary < 1 || problem.outputs != problem.vocabulary) {
    throw Error(ErrorKind::usage, "gpt wants text to learn the next token of", "[model]",
                "choose a language task, or for classes of texts the model text_classifier");
  }
  GptOptions wanted{.layers = options.integer("layers"),
                    .width = options.integer("width"),
                    .context = options.integer("context"),
                    .vocabulary = problem.vocabulary,
                    .positions = options.text("positions"),
                    .tied = options.boolean("tied"),
                    .residual_scale = options.boolean("residual_scale"),
                    .sparse = options.boolean("sparse"),
                    .block = block_from(options)};
  if (wanted.context == 0) wanted.context = problem.sample[0];
  return std::make_shared<const Gpt>(std::move(wanted));
}

}  // namespace

void register_gpt(PresetRegistry& registry) {
  auto options = transformer_options(false, 0);
  options.push_back({.key = "tied",
                     .type = OptionType::boolean,
                     .fallback = true,
                     .help = "the output matrix is that of the embedding"});
  options.push_back({.key = "residual_scale",
                     .type = OptionType::boolean,
                     .fallback = true,
                     .help = "smaller initial values where blocks add to their input, as GPT-2"});
  options.push_back(sparse_option());
  registry.add({.name = "gpt",
                .help = "causal transformer that predicts the next token",
                .options = std::move(options),
                .make = make});
}

}  // namespace descent::nn
