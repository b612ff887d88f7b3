// Exponential moving average of the weights:
//
//   average <- average + (1 - decay) (theta - average),   the first one: theta after the first step
//
// PyTorch's swa_utils.AveragedModel with get_ema_multi_avg_fn(decay). Running statistics (batch
// normalisation) are not averaged. Polyak & Juditsky 1992, "Acceleration of stochastic
// approximation by averaging".
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer average_weights_ema(double decay) {
  require_fraction("ema", "decay", decay);
  return joint({.name = "ema",
                .slots = {{"average"}},
                .scalars = {first_step()},
                .update =
                    [decay](const Joint& j) {
                      for (std::size_t i = 0; i < j.count(); ++i) {
                        const auto next = j.parameter(i) + j.updates[i];
                        auto& average = j.slot(0)[i];
                        average = select(j.context.scalars[0], next,
                                         average + (1 - decay) * (next - average));
                      }
                    },
                .averaged = [](const Value&, std::span<const Value> slots) { return slots[0]; }});
}

}  // namespace descent::optim
