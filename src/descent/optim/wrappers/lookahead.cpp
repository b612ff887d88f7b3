// Lookahead: k steps forward, one step back.
//
//   every k steps:  slow <- slow + alpha (theta - slow),  theta <- slow
//
// The slow weights, which begin as the first ones, are what is validated and saved, as in the
// paper. The optimizer's own state goes on over the step back (the paper's and optax's default).
// Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back" (k 5, alpha 0.5).
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer lookahead(LookaheadOptions o) {
  require_positive("lookahead", "steps", static_cast<double>(o.steps));
  require_positive("lookahead", "alpha", o.alpha);
  return joint(
      {.name = "lookahead",
       .slots = {{"slow"}},
       .scalars = {first_step(),
                   {"back",
                    [k = o.steps](std::int64_t step) { return (step + 1) % k == 0 ? 1.0 : 0.0; }}},
       .update =
           [alpha = o.alpha](const Joint& j) {
             const auto &first = j.context.scalars[0], &back = j.context.scalars[1];
             for (std::size_t i = 0; i < j.count(); ++i) {
               const auto& p = j.parameter(i);
               auto& slow = j.slot(0)[i];
               slow = select(first, p, slow);
               slow = select(back, slow + alpha * (p + j.updates[i] - slow), slow);
               j.updates[i] = select(back, slow - p, j.updates[i]);
             }
           },
       .averaged = [](const Value&, std::span<const Value> slots) { return slots[0]; }});
}

}  // namespace descent::optim
