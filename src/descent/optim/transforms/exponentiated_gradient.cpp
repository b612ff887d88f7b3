// Mirror descent: exponentiated gradient, for weights of either sign or on the simplex.
//
//   theta_t = beta sinh(arcsinh(theta_{t-1} / beta) - lr g_t)
//           = theta_{t-1} cosh(lr g_t) - sqrt(theta_{t-1}^2 + beta^2) sinh(lr g_t)
//   simplex: theta_t = theta_{t-1} exp(-lr g_t), each row of the last axis divided by the sum of
//   its
//            absolute values
//
// The first is mirror descent with the hypentropy of Ghai, Hazan & Singer 2020, "Exponentiated
// gradient meets gradient descent": steps in proportion to sqrt(theta^2 + beta^2), so that small
// beta gives exponentiated gradient (EG+-), which finds sparse weights, and large beta gradient
// descent at rate lr beta. The second is Kivinen & Warmuth 1997, "Exponentiated gradient versus
// gradient descent for linear predictors": for positive weights whose rows sum to 1, signs and
// zeros stay.
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer mirror_steps(const ExponentiatedGradientOptions& o) {
  require_positive("exponentiated_gradient", "beta", o.beta);
  Rule rule{.name = "exponentiated_gradient", .scalars = {{"lr", o.lr.schedule()}}};
  rule.update = [o](const Item& i) {
    const auto d = i.scalars[0] * i.gradient;
    const auto& theta = i.parameter;
    if (!o.simplex) {
      const auto cosh_minus_1 = 2.0 * square(sinh(0.5 * d));
      return theta * cosh_minus_1 - sqrt(square(theta) + o.beta * o.beta) * sinh(d);
    }
    // The smallest d of the row is taken off, which the division cancels: exp cannot overflow.
    const bool scalar = theta.rank() == 0;
    const auto least = scalar ? d : min(d, {-1}, true);
    const auto next = theta * exp(least - d);
    const auto total = scalar ? abs(next) : sum(abs(next), {-1}, true);
    return next / maximum(total, 1e-30) - theta;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer exponentiated_gradient(const ExponentiatedGradientOptions& o) {
  return around(mirror_steps(o),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed, .whole = true});
}

void register_exponentiated_gradient(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "exponentiated_gradient",
       .help = "mirror descent: steps in proportion to the weight (Kivinen & Warmuth 1997; Ghai et "
               "al. 2020)",
       .lr = 0.1,
       .options = {number_option("beta", 1, "size below which a weight's steps do not shrink"),
                   boolean_option("simplex",
                                  "rows of weights keep their signs and an absolute sum of 1")},
       .whole = [](const Options& o, const Schedule& rate) {
         return mirror_steps(
             {.lr = rate, .beta = o.number("beta"), .simplex = o.boolean("simplex")});
       }});
}

}  // namespace descent::optim
