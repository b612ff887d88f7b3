// Flatten: all axes but the first become one, as torch.nn.Flatten.
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Flatten final : public Module {
 public:
  Value operator()(Scope&, const Value& x) const override {
    return x.rank() == 2 ? x : descent::flatten(x, 1);
  }
  std::string describe() const override { return "flatten"; }
};

}  // namespace

Layer flatten() { return std::make_shared<const Flatten>(); }

void register_flatten(LayerRegistry& registry) {
  registry.add({.name = "flatten",
                .help = "each row becomes one list of numbers (torch.nn.Flatten)",
                .options = {},
                .make = [](const Options&) { return flatten(); }});
}

}  // namespace descent::nn
