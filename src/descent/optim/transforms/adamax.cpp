// Adamax: Adam with the largest gradient in the place of the root mean square.
//
//   m_t = b1 m_{t-1} + (1 - b1) g_t
//   u_t = max(b2 u_{t-1}, |g_t| + eps)
//   direction: m_t / (1 - b1^t) / u_t
//
// PyTorch's form: the paper has no eps; Keras adds it to u_t. Kingma & Ba 2015, "Adam",
// section 7.1.
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

Optimizer scale_by_adamax(double b1, double b2, double eps) {
  require_fraction("adamax", "beta1", b1);
  require_fraction("adamax", "beta2", b2);
  require_positive("adamax", "eps", eps);  // a gradient of 0 would be divided by 0
  Rule rule{.name = "adamax", .slots = {{"m"}, {"u"}}, .scalars = {bias_correction("c", b1)}};
  rule.update = [=](const Item& i) {
    auto &m = i.state[0], &u = i.state[1];
    m = b1 * m + (1 - b1) * i.gradient;
    u = maximum(b2 * u, abs(i.gradient) + eps);
    return m * i.scalars[0] / u;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer adamax(const AdamaxOptions& o) {
  return around(scale_by_adamax(o.b1, o.b2, o.eps),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_adamax(OptimizerRegistry& registry) {
  add_optimizer(registry,
                {.name = "adamax",
                 .help = "Adam over the largest gradient of late (Kingma & Ba 2015)",
                 .lr = 2e-3,
                 .options = {number_option("beta1", 0.9, "decay of the mean gradient", 0, 1),
                             number_option("beta2", 0.999, "decay of the largest gradient", 0, 1),
                             number_option("eps", 1e-8, "added to each |gradient|")},
                 .rule = [](const Options& o) {
                   return scale_by_adamax(o.number("beta1"), o.number("beta2"), o.number("eps"));
                 }});
}

}  // namespace descent::optim
