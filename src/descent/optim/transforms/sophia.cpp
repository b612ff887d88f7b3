// Sophia-H.
//
//   m = b1 m + (1 - b1) g
//   every hessian_every steps, from the first on:  h = b2 h + (1 - b2) u (H u),  u of random signs
//   direction: clip(m / max(gamma h, eps), 1)
//
// The paper's algorithm 3 (no bias correction; optax corrects m and takes the h of the step
// before), but for u: signs, as optax has it, give the same mean as the paper's normal numbers with
// less spread. H is the Hessian of the batch's loss, its product with u exact, at about twice the
// cost of a gradient; the other steps cost what Adam's do. The signs are a function of the step's
// key, so a resumed run draws the same. Weight decay is decoupled. Liu et al. 2023, "Sophia: a
// scalable stochastic second-order optimizer for language model pre-training".
#include "descent/optim/sophia.h"

#include "descent/base/random.h"
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"

namespace descent::optim {
namespace {

// Drawn in float32 whatever the parameters are, so that all types see the same signs.
Value random_signs(const Value& key, const Parameter& parameter) {
  const auto stream = hash_text(("sophia." + parameter.name).c_str());
  const auto u = random_uniform(key, {DType::float32, parameter.type.shape}, stream);
  return cast(2.0 * less_mask(u, 0.5) - 1.0, parameter.type.dtype);
}

}  // namespace

Optimizer scale_by_sophia(SophiaScale o) {
  require_fraction("sophia", "beta1", o.b1);
  require_fraction("sophia", "beta2", o.b2);
  require_positive("sophia", "gamma", o.gamma);
  require_positive("sophia", "eps", o.eps);
  require_positive("sophia", "hessian_every", static_cast<double>(o.hessian_every));
  return joint({.name = "sophia",
                .slots = {{"m"}, {"h"}},
                .update =
                    [o](const Joint& j) {
                      const auto m = j.slot(0), h = j.slot(1);
                      if (j.context.variant == 1) {
                        const auto& key = key_of(j.context, "sophia");
                        Values u;
                        for (const auto& info : j.context.info)
                          u.push_back(random_signs(key, info));
                        const auto product = hessian_product(j.context, u, "sophia");
                        for (std::size_t i = 0; i < j.count(); ++i)
                          h[i] = o.b2 * h[i] + (1 - o.b2) * (u[i] * product[i]);
                      }
                      for (std::size_t i = 0; i < j.count(); ++i) {
                        m[i] = o.b1 * m[i] + (1 - o.b1) * j.updates[i];
                        j.updates[i] = clamp(m[i] / maximum(o.gamma * h[i], o.eps), -1, 1);
                      }
                    },
                .variants = 2,
                .variant = [k = o.hessian_every](std::int64_t step) -> std::int64_t {
                  return step % k == 0 ? 1 : 0;
                }});
}

Optimizer sophia(const SophiaOptions& o) {
  return around(scale_by_sophia(o.scale),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_sophia(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "sophia",
       .help = "clipped momentum over an estimate of the Hessian's diagonal (Liu et al. 2023)",
       .lr = 1e-3,
       .weight_decay = 0.1,
       .decoupled = true,
       .options = {number_option("beta1", 0.965, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.99, "decay of the Hessian's diagonal", 0, 1),
                   number_option("gamma", 0.01,
                                 "factor of the Hessian's diagonal; larger: shorter "
                                 "steps, fewer of them clipped"),
                   number_option("eps", 1e-12, "least divisor"),
                   {.key = "hessian_every",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{10},
                    .help = "steps from one Hessian to the next",
                    .min = 1}},
       .rule = [](const Options& o) {
         return scale_by_sophia({.b1 = o.number("beta1"),
                                 .b2 = o.number("beta2"),
                                 .gamma = o.number("gamma"),
                                 .eps = o.number("eps"),
                                 .hessian_every = o.integer("hessian_every")});
       }});
}

}  // namespace descent::optim
