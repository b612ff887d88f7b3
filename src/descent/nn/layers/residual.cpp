// Residual block: y = activation(body(x) + shortcut(x)), the shortcut x itself where there is none.
// He, Zhang, Ren & Sun 2016. The layers inside are "body.0", ..., "shortcut.0", ...
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Residual final : public Module {
 public:
  Residual(Layer body, Layer shortcut, Layer activation)
      : body_(std::move(body)), shortcut_(std::move(shortcut)), activation_(std::move(activation)) {
    if (!body_) throw Error(ErrorKind::usage, "the body is null", "residual");
  }

  Value operator()(Scope& scope, const Value& x) const override {
    const Value f = call(body_, scope, "body", x);
    const Value through = shortcut_ ? call(shortcut_, scope, "shortcut", x) : x;
    if (f.type() != through.type()) {
      throw Error(ErrorKind::usage,
                  fmt::format("the layers give {}, the shortcut {}", to_string(f.type()),
                              to_string(through.type())),
                  {},
                  shortcut_
                      ? "make both give the same shape"
                      : "keep the shape in the layers (padding = \"same\", as many channels), "
                        "or add a shortcut that changes it: a conv2d of 1x1, or subsample");
    }
    const Value y = f + through;
    return activation_ ? call(activation_, scope, "activation", y) : y;
  }

  std::string describe() const override {
    return activation_ ? fmt::format("residual({})", activation_->describe()) : "residual";
  }

  std::vector<std::pair<std::string, Layer>> children() const override {
    std::vector<std::pair<std::string, Layer>> named{{"body", body_}};
    if (shortcut_) named.emplace_back("shortcut", shortcut_);
    if (activation_) named.emplace_back("activation", activation_);
    return named;
  }

 private:
  Layer body_, shortcut_, activation_;
};

Layer from_options(const Options& options) {
  const auto inside = [&](const std::string& key) -> Layer {
    const auto& configs = options.layers(key);
    return configs.empty() ? nullptr : sequential(make_layers(configs));
  };
  if (options.layers("layers").empty()) {
    throw Error(ErrorKind::usage, "a residual block needs layers", "residual",
                "write layers = [{type = \"conv2d\", ...}, ...]");
  }
  return residual(
      inside("layers"), inside("shortcut"),
      options.has("activation") ? activation(options.text("activation"), "residual") : nullptr);
}

}  // namespace

Layer residual(Layer body, Layer shortcut, Layer activation) {
  return std::make_shared<const Residual>(std::move(body), std::move(shortcut),
                                          std::move(activation));
}

void register_residual(LayerRegistry& registry) {
  registry.add({.name = "residual",
                .help = "activation(layers(x) + shortcut(x)) (He et al. 2016)",
                .options = {{.key = "layers",
                             .type = OptionType::layers,
                             .help = "the body: a list of tables as [[model.layers]]",
                             .required = true},
                            {.key = "shortcut",
                             .type = OptionType::layers,
                             .help = "layers beside the body, where it changes the shape; none: x "
                                     "itself is added"},
                            {.key = "activation",
                             .help = "of the sum; none: the sum itself",
                             .choices = activation_names()}},
                .make = from_options});
}

}  // namespace descent::nn
