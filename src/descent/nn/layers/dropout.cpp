// Dropout: while training, each number becomes 0 with probability `rate`, else x / (1 - rate), so
// that the mean is kept. Srivastava et al. 2014, scaled while training as torch.nn.Dropout. Which
// ones is a function of the step's key and the layer's name.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Dropout final : public Module {
 public:
  explicit Dropout(double rate) : rate_(rate) {
    if (rate_ >= 0 && rate_ < 1) return;
    throw Error(ErrorKind::usage, fmt::format("rate {} must be at least 0 and below 1", rate_),
                "dropout");
  }
  Value operator()(Scope& scope, const Value& x) const override {
    if (!scope.training() || rate_ == 0) return x;
    return descent::dropout(x, scope.key(), rate_);
  }
  std::string describe() const override { return fmt::format("dropout({})", rate_); }

 private:
  double rate_;
};

}  // namespace

Layer dropout(double rate) { return std::make_shared<const Dropout>(rate); }

void register_dropout(LayerRegistry& registry) {
  registry.add({.name = "dropout",
                .help = "zeroes numbers at random while training (torch.nn.Dropout)",
                .options = {{.key = "rate",
                             .type = OptionType::number,
                             .fallback = 0.5,
                             .help = "probability of a zero; below 1",
                             .min = 0,
                             .max = 1}},
                .make = [](const Options& options) { return dropout(options.number("rate")); }});
}

}  // namespace descent::nn
