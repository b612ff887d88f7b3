// A block of a transformer: attention and an MLP, each with a norm and a residual connection. Names
// of parameters as in nanoGPT; with post-norm and GELU it is torch.nn.TransformerEncoderLayer.
#include <fmt/format.h>

#include <cmath>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/nn/transformer_options.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

// Shazeer 2020 for SwiGLU.
class Mlp final : public Module {
 public:
  explicit Mlp(TransformerBlockOptions options) : o_(std::move(options)) {}

  Value operator()(Scope& scope, const Value& x) const override {
    const auto width = x.shape()[-1];
    const auto units =
        static_cast<std::int64_t>(std::llround(o_.ratio * static_cast<double>(width)));
    const auto& a = o_.attention;
    Value hidden = call(layer(units, a.init), scope, "c_fc", x);
    if (o_.mlp == MlpKind::swiglu) {
      hidden = hidden * silu(call(layer(units, a.init), scope, "c_gate", x));
    } else {
      hidden = gelu(hidden);
    }
    const auto& init = a.projection_init ? a.projection_init : a.init;
    const Value y = call(layer(width, init), scope, "c_proj", hidden);
    return a.dropout > 0 ? call(dropout(a.dropout), scope, "dropout", y) : y;
  }
  std::string describe() const override {
    return o_.mlp == MlpKind::swiglu ? "mlp(swiglu)" : "mlp(gelu)";
  }

 private:
  Layer layer(std::int64_t units, const Initializer& init) const {
    if (!init) return linear(units, {.bias = o_.attention.bias});
    return linear(units, {.bias = o_.attention.bias, .init = init, .bias_init = zeros()});
  }
  TransformerBlockOptions o_;
};

class TransformerBlock final : public Module {
 public:
  explicit TransformerBlock(TransformerBlockOptions options)
      : o_(std::move(options)),
        attention_(multi_head_attention(o_.attention)),
        mlp_(std::make_shared<const Mlp>(o_)),
        norm_(norm_layer(o_.norm, o_.attention.bias)) {
    if (o_.ratio > 0) return;
    throw Error(ErrorKind::usage, fmt::format("ratio {} must be above 0", o_.ratio),
                "transformer_block");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    return added(scope, added(scope, x, "ln_1", "attn", attention_), "ln_2", "mlp", mlp_);
  }

  std::string describe() const override {
    return fmt::format("transformer_block({} heads{}{})", o_.attention.heads,
                       o_.attention.causal ? ", causal" : "",
                       o_.place == NormPlace::post ? ", post-norm" : "");
  }
  std::vector<std::pair<std::string, Layer>> children() const override {
    return {{"ln_1", norm_}, {"attn", attention_}, {"ln_2", norm_}, {"mlp", mlp_}};
  }

 private:
  Value added(Scope& scope, const Value& x, const char* norm, const char* name,
              const Layer& layer) const {
    if (o_.place == NormPlace::post) {
      return call(norm_, scope, norm, x + call(layer, scope, name, x));
    }
    return x + call(layer, scope, name, call(norm_, scope, norm, x));
  }

  TransformerBlockOptions o_;
  Layer attention_, mlp_, norm_;
};

}  // namespace

Layer transformer_block(TransformerBlockOptions options) {
  return std::make_shared<const TransformerBlock>(std::move(options));
}

void register_transformer_block(LayerRegistry& registry) {
  auto options = block_options();
  options.push_back({.key = "causal",
                     .type = OptionType::boolean,
                     .fallback = false,
                     .help = "a position sees itself and those before"});
  options.push_back({.key = "rotary",
                     .type = OptionType::boolean,
                     .fallback = false,
                     .help = "rotary position embedding of queries and keys"});
  options.push_back({.key = "init",
                     .fallback = "default",
                     .help = "initialiser of the weights (default: as linear)"});
  registry.add({.name = "transformer_block",
                .help = "attention and MLP with norms and residual connections",
                .options = std::move(options),
                .make = [](const Options& o) {
                  auto wanted = block_from(o);
                  wanted.attention.causal = o.boolean("causal");
                  wanted.attention.rotary = o.boolean("rotary");
                  if (const auto& text = o.text("init"); text != "default") {
                    wanted.attention.init = initializer(text, "transformer_block: init");
                  }
                  return transformer_block(std::move(wanted));
                }});
}

}  // namespace descent::nn
