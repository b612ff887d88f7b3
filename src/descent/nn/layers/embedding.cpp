// Embedding: one trained row for each token, as torch.nn.Embedding.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Embedding final : public Module {
 public:
  explicit Embedding(EmbeddingOptions options) : o_(std::move(options)) {
    if (o_.vocabulary < 1 || o_.dim < 1) {
      throw Error(ErrorKind::usage,
                  fmt::format("vocabulary {} and dim {} must be at least 1", o_.vocabulary, o_.dim),
                  "embedding");
    }
    if (o_.padding_idx && (*o_.padding_idx < 0 || *o_.padding_idx >= o_.vocabulary)) {
      throw Error(ErrorKind::usage,
                  fmt::format("padding_idx {} is not in 0..{}", *o_.padding_idx, o_.vocabulary - 1),
                  "embedding", "choose a token of the vocabulary, or leave it out");
    }
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.dtype() != DType::int64) {
      throw Error(ErrorKind::usage,
                  fmt::format("embedding wants int64 tokens, not {}", to_string(x.type())), {},
                  "put it first in the model, and give the model text or integer columns");
    }
    const Value rows = scope.rows("weight", {o_.vocabulary, o_.dim}, init(), x, o_.sparse);
    if (!o_.padding_idx) return rows;
    const auto padding = scalar(static_cast<double>(*o_.padding_idx), DType::int64);
    const Value real = not_equal(x, padding);
    if (x.rank() == 2) scope.mask = real;  // for the layers behind it
    return where(expand_dims(real, -1), rows, scalar(0, rows.dtype()));
  }

  std::string describe() const override {
    return fmt::format("embedding({}, {})", o_.vocabulary, o_.dim);
  }

 private:
  // The row of the padding token is zero.
  Initializer init() const {
    if (!o_.padding_idx) return o_.init;
    return [init = o_.init, row = *o_.padding_idx](DType dtype, const Shape& shape,
                                                   std::uint64_t key) {
      Array weight = init(dtype, shape, key);
      for (std::int64_t i = 0; i < shape[1]; ++i) weight.set_item(row * shape[1] + i, 0);
      return weight;
    };
  }

  EmbeddingOptions o_;
};

}  // namespace

Layer embedding(EmbeddingOptions options) {
  return std::make_shared<const Embedding>(std::move(options));
}

void register_embedding(LayerRegistry& registry) {
  registry.add(
      {.name = "embedding",
       .help = "a trained row for each token (torch.nn.Embedding)",
       .options = {{.key = "vocabulary",
                    .type = OptionType::integer,
                    .help = "how many tokens there are",
                    .min = 1,
                    .required = true},
                   {.key = "dim",
                    .type = OptionType::integer,
                    .help = "numbers for each token",
                    .min = 1,
                    .required = true},
                   {.key = "init", .fallback = "normal(1)", .help = "initialiser of the rows"},
                   {.key = "padding_idx",
                    .type = OptionType::integer,
                    .fallback = -1,
                    .help = "token whose row is zero and stays so; -1: none",
                    .min = -1},
                   sparse_option()},
       .make = [](const Options& options) {
         EmbeddingOptions wanted{.vocabulary = options.integer("vocabulary"),
                                 .dim = options.integer("dim"),
                                 .init = initializer(options.text("init"), "embedding: init"),
                                 .sparse = options.boolean("sparse")};
         if (options.integer("padding_idx") >= 0) {
           wanted.padding_idx = options.integer("padding_idx");
         }
         return embedding(std::move(wanted));
       }});
}

}  // namespace descent::nn
