// Multi-head self-attention (Vaswani et al. 2017) as torch.nn.MultiheadAttention computes it, with
// one product for q, k and v. The attention itself never holds the matrix of scores
// (kernels/attention.h).
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/positions.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class MultiHeadAttention final : public Module {
 public:
  explicit MultiHeadAttention(MultiHeadAttentionOptions options) : o_(std::move(options)) {
    const auto refuse = [](const std::string& why) {
      throw Error(ErrorKind::usage, why, "multi_head_attention");
    };
    if (o_.heads < 1) refuse(fmt::format("heads must be at least 1, not {}", o_.heads));
    if (!(o_.attention_dropout >= 0 && o_.attention_dropout < 1)) {
      refuse(
          fmt::format("attention_dropout {} must be at least 0 and below 1", o_.attention_dropout));
    }
  }

  Value operator()(Scope& scope, const Value& x) const override {
    check(x);
    const auto& shape = x.shape();
    const auto rows = shape[0], time = shape[1], width = shape[2], dim = width / o_.heads;
    const Value fused = call(projection(3 * width, o_.init), scope, "c_attn", x);
    Value qkv = reshape(fused, {rows, time, 3, o_.heads, dim});
    if (o_.rotary) {
      qkv = concat({rotary(scope, slice(qkv, 2, 0, 2)), slice(qkv, 2, 2, 3)}, 2);
    }
    const Value y = scope.decoding() ? decoded(scope, qkv) : attended(scope, qkv);
    const auto& init = o_.projection_init ? o_.projection_init : o_.init;
    const Value out = call(projection(width, init), scope, "c_proj", y);
    return o_.dropout > 0 ? call(dropout(o_.dropout), scope, "dropout", out) : out;
  }

  std::string describe() const override {
    return fmt::format("multi_head_attention({} heads{}{}{})", o_.heads,
                       o_.causal ? ", causal" : "", o_.rotary ? ", rotary" : "",
                       o_.attention_dropout > 0
                           ? fmt::format(", attention dropout {}", o_.attention_dropout)
                           : "");
  }

 private:
  void check(const Value& x) const {
    if (x.rank() != 3) {
      throw Error(ErrorKind::usage,
                  fmt::format("multi_head_attention wants [rows, time, width], not {}",
                              to_string(x.type())),
                  {}, "put it after an embedding");
    }
    const auto width = x.shape()[2];
    if (width % o_.heads != 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} heads do not divide the width {}", o_.heads, width), {},
                  "choose a width that is a multiple of heads");
    }
    if (o_.rotary && width / o_.heads % 2 != 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("rotary needs an even size of a head, not {}", width / o_.heads), {},
                  "choose fewer heads or another width");
    }
  }

  Layer projection(std::int64_t units, const Initializer& init) const {
    if (!init) return linear(units, {.bias = o_.bias});
    return linear(units, {.bias = o_.bias, .init = init, .bias_init = zeros()});
  }

  Value attended(const Scope& scope, const Value& qkv) const {
    AttentionOptions options{.causal = o_.causal, .key_mask = scope.mask};
    if (scope.training() && o_.attention_dropout > 0) {
      options.dropout = o_.attention_dropout;
      options.key = scope.key();
    }
    return packed_attention(qkv, options);
  }

  // One new token against the keys and values of all before and its own; or the first tokens, which
  // have none before.
  Value decoded(Scope& scope, const Value& qkv) const {
    if (!o_.causal) {
      throw Error(ErrorKind::usage, "only causal attention can be decoded token by token", {},
                  "set causal = true");
    }
    const auto& shape = qkv.shape();
    const auto rows = shape[0], heads = shape[3], dim = shape[4], context = scope.context();
    const auto time = shape[1];
    // [N, 1, 3, H, D] has the memory of [N, 3, H, 1, D].
    const Value parts =
        time == 1 ? reshape(qkv, {rows, 3, heads, 1, dim}) : transpose(qkv, {0, 2, 3, 1, 4});
    const auto part = [&](int i) {
      return reshape(slice(parts, 1, i, i + 1), {rows, heads, time, dim});
    };
    const auto extended = [&](const char* name, const Value& value) {
      const Value cache = scope.cache(name, {rows, heads, context, dim});
      const Value updated = dynamic_update(cache, value, 2, scope.position());
      scope.update_cache(name, updated);
      return updated;
    };
    const Value keys = extended("k", part(1)), values = extended("v", part(2));
    if (time > 1) return packed_attention(qkv, {.causal = true});
    const Value seen = broadcast_to(less_equal(iota(context), scope.position()), {rows, context});
    const Value y = attention(part(0), keys, values, {.key_mask = seen});
    return reshape(y, {rows, 1, heads * dim});
  }

  MultiHeadAttentionOptions o_;
};

}  // namespace

Layer multi_head_attention(MultiHeadAttentionOptions options) {
  return std::make_shared<const MultiHeadAttention>(std::move(options));
}

void register_multi_head_attention(LayerRegistry& registry) {
  registry.add(
      {.name = "multi_head_attention",
       .help = "self-attention over a sequence (torch.nn.MultiheadAttention)",
       .options =
           {{.key = "heads",
             .type = OptionType::integer,
             .help = "heads, which divide the width",
             .min = 1,
             .required = true},
            {.key = "causal",
             .type = OptionType::boolean,
             .fallback = false,
             .help = "a position sees itself and those before"},
            {.key = "bias", .type = OptionType::boolean, .fallback = true, .help = "add biases"},
            {.key = "dropout",
             .type = OptionType::number,
             .fallback = 0.0,
             .help = "rate on the output, below 1",
             .min = 0,
             .max = 1},
            attention_dropout_option(),
            {.key = "rotary",
             .type = OptionType::boolean,
             .fallback = false,
             .help = "rotary position embedding of queries and keys"},
            {.key = "init",
             .fallback = "default",
             .help = "initialiser of the weights (default: as linear)"}},
       .make = [](const Options& options) {
         MultiHeadAttentionOptions wanted{.heads = options.integer("heads"),
                                          .causal = options.boolean("causal"),
                                          .bias = options.boolean("bias"),
                                          .dropout = options.number("dropout"),
                                          .attention_dropout = options.number("attention_dropout"),
                                          .rotary = options.boolean("rotary")};
         if (const auto& text = options.text("init"); text != "default") {
           wanted.init = initializer(text, "multi_head_attention: init");
         }
         return multi_head_attention(std::move(wanted));
       }});
}

}  // namespace descent::nn
