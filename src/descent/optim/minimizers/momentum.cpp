// Gradient descent with momentum (the heavy ball), PyTorch's form.
//
//   b <- momentum b + g (the first: b = g),  x <- x - lr b
//
// Polyak 1964, "Some methods of speeding up the convergence of iteration methods". On a quadratic
// with eigenvalues in [m, L] the best choice is lr = 4 / (sqrt L + sqrt m)^2 and momentum = ((sqrt
// L
// - sqrt m) / (sqrt L + sqrt m))^2: errors shrink by sqrt(momentum) a step. Within bounds each step
// ends at the nearest point inside.
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {

void register_momentum(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "momentum",
       .help = "gradient descent with momentum, PyTorch's form (Polyak 1964)",
       .options = {number_option("lr", 1e-3, "length of the step"),
                   number_option("momentum", 0.9, "part of the last direction kept", 0, 1)},
       .method = [](const Options& o) -> Method {
         return [lr = o.number("lr"), momentum = o.number("momentum")](Run& run) {
           Vector b = Vector::Zero(run.x.size());
           while (run.goes_on()) {
             b = momentum * b + run.gradient;
             run.move_to(run.inside(run.x - lr * b));
           }
         };
       },
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
