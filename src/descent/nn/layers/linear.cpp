// Linear: y = x W^T + b, as torch.nn.Linear.
#include <fmt/format.h>

#include <cmath>

#include "descent/nn/layers.h"
#include "descent/nn/product.h"
#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

class Linear final : public Module {
 public:
  Linear(std::int64_t units, LinearOptions options) : units_(units), options_(std::move(options)) {
    if (units_ >= 1) return;
    throw Error(ErrorKind::usage, fmt::format("units must be at least 1, not {}", units_),
                "linear");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (x.rank() < 2) {
      throw Error(ErrorKind::usage,
                  fmt::format("linear wants [rows, ..., inputs], not {}", to_string(x.type())));
    }
    const auto inputs = x.shape()[-1];
    const auto weight = scope.parameter("weight", {units_, inputs}, options_.init);
    Value y = product(scope, x, weight);
    if (options_.bias) y = y + scope.parameter("bias", {units_}, bias_init(inputs), false);
    return y;
  }

  std::string describe() const override {
    return fmt::format("linear({}{})", units_, options_.bias ? "" : ", no bias");
  }

 private:
  Initializer bias_init(std::int64_t inputs) const {
    if (options_.bias_init) return options_.bias_init;
    return uniform(1 / std::sqrt(static_cast<double>(inputs)));
  }

  std::int64_t units_;
  LinearOptions options_;
};

}  // namespace

Layer linear(std::int64_t units, LinearOptions options) {
  return std::make_shared<const Linear>(units, std::move(options));
}

void register_linear(LayerRegistry& registry) {
  registry.add(
      {.name = "linear",
       .help = "y = x W^T + b over the last axis (torch.nn.Linear)",
       .options =
           {{.key = "units",
             .type = OptionType::integer,
             .help = "outputs",
             .min = 1,
             .required = true},
            {.key = "bias", .type = OptionType::boolean, .fallback = true, .help = "add a bias"},
            {.key = "init",
             .fallback = "default",
             .help = "initialiser of the weight (default: as PyTorch)"},
            {.key = "bias_init",
             .fallback = "default",
             .help = "initialiser of the bias (default: as PyTorch)"}},
       .make = [](const Options& options) {
         LinearOptions wanted{.bias = options.boolean("bias"),
                              .init = initializer(options.text("init"), "linear: init")};
         if (const auto& text = options.text("bias_init"); text != "default") {
           wanted.bias_init = initializer(text, "linear: bias_init");
         }
         return linear(options.integer("units"), std::move(wanted));
       }});
}

}  // namespace descent::nn
