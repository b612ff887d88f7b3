// Nesterov's accelerated gradient, in either form.
//
//   torch:      b <- momentum b + g(x),               x <- x - lr (g(x) + momentum b)
//   lookahead:  v <- momentum v - lr g(x + momentum v),  x <- x + v
//
// Nesterov 1983; the second form is that of Sutskever et al. 2013, the first is PyTorch's, which is
// the second told at the point x + momentum v. On a quadratic with eigenvalues in [m, L], lr = 1 /
// L and momentum = (sqrt L - sqrt m) / (sqrt L + sqrt m): values shrink by 1 - sqrt(m / L) a step.
// The lookahead form evaluates twice an iteration, since what is told of x is x's own value.
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

void torch_form(Run& run, double lr, double momentum) {
  Vector b = Vector::Zero(run.x.size());
  while (run.goes_on()) {
    b = momentum * b + run.gradient;
    run.move_to(run.inside(run.x - lr * (run.gradient + momentum * b)));
  }
}

void lookahead_form(Run& run, double lr, double momentum) {
  Vector v = Vector::Zero(run.x.size()), g(run.x.size());
  while (run.goes_on()) {
    const Vector ahead = run.x + momentum * v;
    const double value = run.f.value_and_gradient(ahead, g);
    if (!run.finite(value, g)) {
      run.diverged("the value is not finite at the look-ahead point " + to_string(ahead));
      break;
    }
    v = momentum * v - lr * g;
    run.move_to(run.inside(run.x + v));
  }
}

}  // namespace

void register_nesterov(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "nesterov",
       .help = "Nesterov's accelerated gradient (Nesterov 1983; Sutskever et al. 2013)",
       .options = {number_option("lr", 1e-3, "length of the step"),
                   number_option("momentum", 0.9, "part of the last direction kept", 0, 1),
                   choice_option("form", "torch",
                                 "torch: the gradient at the point; lookahead: at where the "
                                 "momentum leads",
                                 {"torch", "lookahead"})},
       .method = [](const Options& o) -> Method {
         return [lr = o.number("lr"), momentum = o.number("momentum"),
                 ahead = o.text("form") == "lookahead"](Run& run) {
           (ahead ? lookahead_form : torch_form)(run, lr, momentum);
         };
       },
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
