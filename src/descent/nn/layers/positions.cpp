// Positions added to embeddings: trained (Gehring et al. 2017; GPT-2's wpe), or sines and cosines
// of many wavelengths (Vaswani et al. 2017).
#include "descent/nn/positions.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

void check_sequence(const Value& x, const char* layer) {
  if (x.rank() == 3 && is_floating(x.dtype())) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} wants [rows, time, width], not {}", layer, to_string(x.type())), {},
              "put it after an embedding");
}

class PositionEmbedding final : public Module {
 public:
  explicit PositionEmbedding(PositionEmbeddingOptions options) : o_(std::move(options)) {
    if (o_.context >= 1) return;
    throw Error(ErrorKind::usage, fmt::format("context must be at least 1, not {}", o_.context),
                "position_embedding");
  }
  Value operator()(Scope& scope, const Value& x) const override {
    check_sequence(x, "position_embedding");
    const auto weight = scope.parameter("weight", {o_.context, x.shape()[2]}, o_.init);
    return x + rows_at_positions(scope, weight, x.shape()[1]);
  }
  std::string describe() const override {
    return fmt::format("position_embedding({})", o_.context);
  }

 private:
  PositionEmbeddingOptions o_;
};

class SinusoidalPositions final : public Module {
 public:
  Value operator()(Scope& scope, const Value& x) const override {
    check_sequence(x, "sinusoidal_positions");
    const auto width = x.shape()[2];
    return x + table_of_positions(scope, x.shape()[1], width, [&](std::int64_t t, std::int64_t i) {
             const auto even = i / 2 * 2;  // of the pair of sine and cosine
             const double power = static_cast<double>(even) / static_cast<double>(width);
             const double angle = static_cast<double>(t) / std::pow(10000.0, power);
             return i % 2 == 0 ? std::sin(angle) : std::cos(angle);
           });
  }
  std::string describe() const override { return "sinusoidal_positions"; }
};

}  // namespace

Layer position_embedding(PositionEmbeddingOptions options) {
  return std::make_shared<const PositionEmbedding>(std::move(options));
}
Layer sinusoidal_positions() { return std::make_shared<const SinusoidalPositions>(); }

void register_positions(LayerRegistry& registry) {
  registry.add(
      {.name = "position_embedding",
       .help = "adds a trained row for each position of a sequence",
       .options = {{.key = "context",
                    .type = OptionType::integer,
                    .help = "positions there are: the longest sequence",
                    .min = 1,
                    .required = true},
                   {.key = "init", .fallback = "normal(0.02)", .help = "initialiser of the rows"}},
       .make = [](const Options& options) {
         return position_embedding(
             {.context = options.integer("context"),
              .init = initializer(options.text("init"), "position_embedding: init")});
       }});
  registry.add({.name = "sinusoidal_positions",
                .help = "adds sines and cosines of the position (Vaswani et al. 2017)",
                .options = {},
                .make = [](const Options&) { return sinusoidal_positions(); }});
}

}  // namespace descent::nn
