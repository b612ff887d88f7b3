// Gradient noise: g + sigma n, n standard normal, sigma^2 = eta / (1 + step)^gamma; step from 0.
// The paper has gamma 0.55 and eta of 0.01, 0.3 or 1. The noise is a function of the step's key, so
// a resumed run draws the same. It stands after clipping, which would else undo it.
// Neelakantan et al. 2015, "Adding gradient noise improves learning for very deep networks".
#include <cmath>

#include "descent/base/random.h"
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer gradient_noise(double eta, double gamma) {
  require_positive("gradient_noise", "eta", eta);
  require_not_negative("gradient_noise", "gamma", gamma);
  return joint(
      {.name = "gradient_noise",
       .scalars = {{"sigma",
                    [=](std::int64_t step) {
                      return std::sqrt(eta / std::pow(1 + static_cast<double>(step), gamma));
                    }}},
       .update = [](const Joint& j) {
         const auto& key = key_of(j.context, "gradient_noise");
         for (std::size_t i = 0; i < j.count(); ++i) {
           const auto& info = j.context.info[i];
           const auto stream = hash_text(("gradient_noise." + info.name).c_str());
           const auto noise = random_normal(key, {DType::float32, info.type.shape}, stream);
           j.updates[i] = j.updates[i] + j.context.scalars[0] * cast(noise, info.type.dtype);
         }
       }});
}

}  // namespace descent::optim
