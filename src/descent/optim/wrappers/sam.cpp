// Sharpness-aware minimisation: the gradient at the worst point near the parameters.
//
//   e = rho g / (|g| + 1e-12),   direction of what follows: the gradient at theta + e
//   adaptive: e = rho theta^2 g / (|theta g| + 1e-12)
//
// |.| over all parameters together, g that of the whole batch; running statistics of the model see
// the first pass alone. The 1e-12 is that of the authors' code.
// Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization"; Kwon
// et al. 2021, "ASAM" (adaptive, without its eta).
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer sharpness_aware(SharpnessOptions o) {
  require_positive("sam", "rho", o.rho);
  return joint({.name = "sam", .update = [o](const Joint& j) {
                  Values scaled = j.updates;
                  for (std::size_t i = 0; o.adaptive && i < scaled.size(); ++i)
                    scaled[i] = abs(j.parameter(i)) * scaled[i];
                  const auto factor = o.rho / (sqrt(sum_of_squares(scaled)) + 1e-12);
                  Values worst;
                  for (std::size_t i = 0; i < scaled.size(); ++i) {
                    const auto& p = j.parameter(i);
                    const auto& direction = o.adaptive ? abs(p) * scaled[i] : scaled[i];
                    worst.push_back(p + factor * direction);
                  }
                  j.updates = gradient_at(j.context, worst, "sam");
                }});
}

}  // namespace descent::optim
