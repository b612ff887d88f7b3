// Stochastic weight averaging: the plain mean of the weights after the steps start, start + every,
// start + 2 every ... (steps from 0); before them, the weights themselves.
//
//   average <- average + (theta - average) / (n + 1)
//
// PyTorch's swa_utils.AveragedModel. Running statistics (batch normalisation) are those of the last
// step; PyTorch has update_bn() to measure them anew. Give a constant rate or a cyclic one.
// Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization".
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer average_weights_swa(SwaOptions o) {
  require_not_negative("swa", "start", static_cast<double>(o.start));
  require_positive("swa", "every", static_cast<double>(o.every));
  const auto copies = [o](std::int64_t step) { return step <= o.start ? 1.0 : 0.0; };
  const auto part = [o](std::int64_t step) {
    const auto since = step - o.start;
    if (since < 0 || since % o.every != 0) return 0.0;
    const std::int64_t taken = since / o.every + 1;
    return 1 / static_cast<double>(taken);
  };
  return joint({.name = "swa",
                .slots = {{"average"}},
                .scalars = {{"copies", copies}, {"part", part}},
                .update =
                    [](const Joint& j) {
                      const auto &copy = j.context.scalars[0], &weight = j.context.scalars[1];
                      for (std::size_t i = 0; i < j.count(); ++i) {
                        const auto next = j.parameter(i) + j.updates[i];
                        auto& average = j.slot(0)[i];
                        average = select(copy, next, average + weight * (next - average));
                      }
                    },
                .averaged = [](const Value&, std::span<const Value> slots) { return slots[0]; }});
}

}  // namespace descent::optim
