// Adadelta: steps whose size follows the size of the steps before.
//
//   v_t = rho v_{t-1} + (1 - rho) g_t^2
//   direction: d_t = sqrt(a_{t-1} + eps) / sqrt(v_t + eps) g_t
//   a_t = rho a_{t-1} + (1 - rho) d_t^2
//
// PyTorch's defaults (lr 1, rho .9, eps 1e-6). convention = paper: rho .95; keras: rho .95, eps
// 1e-7 and decoupled weight decay (its lr of .001 is left to the user); the formula is the same.
// Zeiler 2012, "ADADELTA: An adaptive learning rate method", arXiv 1212.5701.
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_adadelta(double rho, double eps) {
  require_fraction("adadelta", "rho", rho);
  require_positive("adadelta", "eps", eps);  // with 0 it never moves
  Rule rule{.name = "adadelta", .slots = {{"square"}, {"delta"}}};
  rule.update = [=](const Item& i) {
    const auto& g = i.gradient;
    auto &v = i.state[0], &a = i.state[1];
    v = rho * v + (1 - rho) * square(g);
    const auto d = sqrt(a + eps) / sqrt(v + eps) * g;
    a = rho * a + (1 - rho) * square(d);
    return d;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer adadelta(const AdadeltaOptions& o) {
  return around(scale_by_adadelta(o.rho, o.eps),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_adadelta(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "adadelta",
       .help = "steps as large as those before, over the gradient's size (Zeiler 2012)",
       .lr = 1,
       .options = {open_option("rho",
                               "decay of both mean squares; default: 0.9, keras and paper "
                               "0.95",
                               1),
                   open_option("eps", "added to both mean squares; default: 1e-6, keras 1e-7"),
                   convention_option({"torch", "keras", "paper"},
                                     "whose defaults; keras: weight_decay decoupled")},
       .rule = [](const Options& o) {
         const auto convention = convention_of(o);
         return scale_by_adadelta(
             number_or(o, "rho", convention == Convention::torch ? 0.9 : 0.95),
             number_or(o, "eps", convention == Convention::keras ? 1e-7 : 1e-6));
       }});
}

}  // namespace descent::optim
