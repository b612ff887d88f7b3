// Clipping, as torch.nn.utils does it. Pascanu, Mikolov & Bengio 2013, "On the difficulty of
// training recurrent neural networks".
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// g * min(1, max_norm / (norm + 1e-6)), norm over all parameters: the direction stays. 1e-6 and the
// order of operations are PyTorch's, so that trajectories can be compared.
class ClipByGlobalNorm final : public Transform {
 public:
  explicit ClipByGlobalNorm(double max_norm) : max_norm_(max_norm) {}
  std::string name() const override { return "clip_by_global_norm"; }
  void update(Values& updates, Values&, const UpdateContext&) const override {
    if (updates.empty()) return;
    Value squares;
    for (const auto& g : updates) squares = squares ? squares + sum(square(g)) : sum(square(g));
    const auto factor = minimum(max_norm_ / (sqrt(squares) + 1e-6), 1.0);
    for (auto& g : updates) g = g * factor;
  }

 private:
  double max_norm_;
};

}  // namespace

Optimizer clip_by_global_norm(double max_norm) {
  require_positive("clip_by_global_norm", "max_norm", max_norm);
  return std::make_shared<ClipByGlobalNorm>(max_norm);
}

Optimizer clip_by_value(double max_value) {
  require_positive("clip_by_value", "max_value", max_value);
  return per_parameter({.name = "clip_by_value", .update = [max_value](const Item& i) {
                          return clamp(i.gradient, -max_value, max_value);
                        }});
}

}  // namespace descent::optim
