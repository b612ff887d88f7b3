// Activations, elementwise but softmax; formulas and defaults of torch.nn.
#include <fmt/format.h>

#include <functional>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Activation final : public Module {
 public:
  using Formula = std::function<Value(const Value&)>;
  Activation(std::string text, Formula formula)
      : text_(std::move(text)), formula_(std::move(formula)) {}
  Value operator()(Scope&, const Value& x) const override { return formula_(x); }
  std::string describe() const override { return text_; }

 private:
  std::string text_;
  Formula formula_;
};

Layer make(std::string text, Activation::Formula formula) {
  return std::make_shared<const Activation>(std::move(text), std::move(formula));
}

// One row per activation: its name, formula, options and constructor.
std::vector<LayerRegistry::Entry> table() {
  return {
      {"relu", "max(0, x)", {}, [](const Options&) { return relu(); }},
      {"leaky_relu",
       "x where x > 0, else slope x",
       {{.key = "slope",
         .type = OptionType::number,
         .fallback = 0.01,
         .help = "factor of negative numbers"}},
       [](const Options& options) { return leaky_relu(options.number("slope")); }},
      {"gelu",
       "x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016)",
       {{.key = "approximate",
         .fallback = "none",
         .help = "exact, or x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
         .choices = {"none", "tanh"}}},
       [](const Options& options) { return gelu(options.text("approximate")); }},
      {"tanh", "hyperbolic tangent", {}, [](const Options&) { return tanh(); }},
      {"sigmoid", "1 / (1 + exp(-x))", {}, [](const Options&) { return sigmoid(); }},
      {"softmax",
       "exp(x) / sum exp(x) along an axis; not before cross_entropy, which contains it",
       {{.key = "axis",
         .type = OptionType::integer,
         .fallback = -1,
         .help = "negative: from the end"}},
       [](const Options& options) { return softmax(static_cast<int>(options.integer("axis"))); }},
      {"silu", "x sigmoid(x), also called swish", {}, [](const Options&) { return silu(); }},
      {"softplus",
       "log(1 + exp(beta x)) / beta",
       {{.key = "beta", .type = OptionType::number, .fallback = 1.0, .help = "sharpness, above 0"}},
       [](const Options& options) { return softplus(options.number("beta")); }},
      {"identity", "x", {}, [](const Options&) { return identity(); }},
  };
}

}  // namespace

Layer relu() {
  return make("relu", [](const Value& x) { return descent::relu(x); });
}

Layer leaky_relu(double slope) {
  return make(fmt::format("leaky_relu({})", slope), [slope](const Value& x) {
    return where(greater(x, scalar(0, x.dtype())), x, x * slope);
  });
}

Layer gelu(const std::string& approximate) {
  if (approximate != "none" && approximate != "tanh") {
    throw Error(ErrorKind::usage, fmt::format("no approximation is called \"{}\"", approximate),
                "gelu", "one of: none, tanh");
  }
  const auto kind = approximate == "none" ? Gelu::erf : Gelu::tanh;
  return make(kind == Gelu::erf ? "gelu" : "gelu(tanh)",
              [kind](const Value& x) { return descent::gelu(x, kind); });
}

Layer tanh() {
  return make("tanh", [](const Value& x) { return descent::tanh(x); });
}

Layer sigmoid() {
  return make("sigmoid", [](const Value& x) { return descent::sigmoid(x); });
}

Layer softmax(int axis) {
  return make("softmax", [axis](const Value& x) { return descent::softmax(x, axis); });
}

Layer silu() {
  return make("silu", [](const Value& x) { return descent::silu(x); });
}

Layer softplus(double beta) {
  if (!(beta > 0)) {
    throw Error(ErrorKind::usage, fmt::format("beta {} must be above 0", beta), "softplus");
  }
  if (beta == 1) {
    return make("softplus", [](const Value& x) { return descent::softplus(x); });
  }
  return make(fmt::format("softplus({})", beta),
              [beta](const Value& x) { return descent::softplus(x * beta) / beta; });
}

Layer identity() {
  return make("identity", [](const Value& x) { return x; });
}

Layer activation(const std::string& name, const std::string& place) {
  for (const auto& entry : table()) {
    if (entry.name == name) return entry.make(resolve(entry.options, {}, place));
  }
  throw Error(ErrorKind::usage, fmt::format("no activation is called \"{}\"", name), place,
              did_you_mean(name, activation_names()));
}

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (const auto& entry : table()) names.push_back(entry.name);
  return names;
}

void register_activations(LayerRegistry& registry) {
  for (auto& entry : table()) registry.add(std::move(entry));
}

}  // namespace descent::nn
