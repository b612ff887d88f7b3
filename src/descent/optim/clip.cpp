// Clipping. By the norm of all and by value as torch.nn.utils does it (Pascanu, Mikolov & Bengio
// 2013, "On the difficulty of training recurrent neural networks"); each parameter alone as Keras'
// clipnorm; adaptive as optax (Brock et al. 2021, "High-performance large-scale image recognition
// without normalization"; the paper leaves the last layer out, here all parameters are in); by a
// percentile of the norms before (Seetharaman et al. 2020, "AutoClip: adaptive gradient clipping
// for source separation networks", who keep all norms; here the last `window`).
#include <algorithm>

#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Value norm_of(const Values& all) {
  Value squares;
  for (const auto& g : all) squares = squares ? squares + sum(square(g)) : sum(square(g));
  return sqrt(squares);
}

// g * min(1, max_norm / (norm + 1e-6)), norm over all parameters: the direction stays. 1e-6 and the
// order of operations are PyTorch's, so that trajectories can be compared.
class ClipByGlobalNorm final : public Transform {
 public:
  explicit ClipByGlobalNorm(double max_norm) : max_norm_(max_norm) {}
  std::string name() const override { return "clip_by_global_norm"; }
  void update(Values& updates, Values&, const UpdateContext& context) const override {
    if (updates.empty() || context.zero_gradients) return;
    const auto factor = minimum(max_norm_ / (norm_of(updates) + 1e-6), 1.0);
    for (auto& g : updates) g = g * factor;
  }

 private:
  double max_norm_;
};

// The norms lie in a ring; places not yet filled hold -1, less than any norm. With the norms in
// falling order x_0, x_1, ..., the percentile lies at place q = (1 - percent / 100) (count - 1),
// between two of them as numpy interpolates: sum_i x_i max(0, 1 - |i - q|).
class ClipByPercentile final : public Transform {
 public:
  ClipByPercentile(double percent, std::int64_t window) : percent_(percent), window_(window) {}
  std::string name() const override { return "clip_by_percentile"; }
  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    const DType dtype = parameters.empty() ? DType::float32 : parameters.front().type.dtype;
    return {{"clip_by_percentile.norms", {dtype, {window_}, false}, -1}};
  }
  std::vector<HostScalar> scalars(DType) const override {
    return {{"clip_by_percentile.place",
             [w = window_](std::int64_t step) { return static_cast<double>(step % w); }},
            {"clip_by_percentile.rank", [w = window_, p = percent_](std::int64_t step) {
               return (1 - p / 100) * static_cast<double>(std::min(step, w - 1));
             }}};
  }
  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (updates.empty()) return;
    const Value now = norm_of(updates), place = iota(window_, now.dtype());
    Value& norms = state[0];
    norms = where(equal(place, context.scalars[0]), now, norms);
    const Value sorted = gather(norms, falling_order(norms));
    const Value weights = maximum(1.0 - abs(place - context.scalars[1]), 0.0);
    const Value limit = sum(sorted * weights);
    const Value factor = minimum(limit / (now + 1e-6), 1.0);
    for (auto& g : updates) g = g * factor;
  }

 private:
  double percent_;
  std::int64_t window_;
};

// Norms of the units of a parameter [units, ...]; a vector is one unit.
Value unit_norms(const Value& x) {
  std::vector<int> axes;
  for (int i = x.rank() < 2 ? 0 : 1; i < x.rank(); ++i) axes.push_back(i);
  return axes.empty() ? abs(x) : sqrt(sum(square(x), axes, true));
}

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

Optimizer clip_each(double max_norm) {
  require_positive("clip_each", "max_norm", max_norm);
  return per_parameter({.name = "clip_each", .update = [max_norm](const Item& i) {
                          return i.gradient * (max_norm / maximum(norm(i.gradient), max_norm));
                        }});
}

Optimizer clip_adaptive(double ratio, double eps) {
  require_positive("clip_adaptive", "ratio", ratio);
  require_positive("clip_adaptive", "eps", eps);
  return per_parameter({.name = "clip_adaptive", .update = [ratio, eps](const Item& i) {
                          const Value most = ratio * maximum(unit_norms(i.parameter), eps);
                          const Value size = unit_norms(i.gradient);
                          // The floor is optax's: it keeps from dividing by 0.
                          const Value factor = most / maximum(size, 1e-6);
                          return i.gradient * where(greater(size, most), factor, ones_like(size));
                        }});
}

Optimizer clip_by_percentile(double percent, std::int64_t window) {
  require_positive("clip_by_percentile", "percent", percent);
  require_positive("clip_by_percentile", "window", static_cast<double>(window));
  require_not_negative("clip_by_percentile", "100 - percent", 100 - percent);
  return std::make_shared<ClipByPercentile>(percent, window);
}

}  // namespace descent::optim
