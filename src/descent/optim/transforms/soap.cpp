// SOAP: Adam in the eigenbasis of Shampoo's second moments.
//
//   basis Q_L of L_t = b2 L_{t-1} + (1 - b2) G G^T, likewise Q_R of the columns
//   G' = Q_L^T G Q_R
//   M_t = b1 M_{t-1} + (1 - b1) G',  V_t = b2 V_{t-1} + (1 - b2) G'^2         (in the basis)
//   direction: Q_L [M_t / (sqrt(V_t) + eps)] Q_R^T  sqrt(1 - b2^t) / (1 - b1^t)
//
// L and R take the gradient after the step. Every `refresh` steps one power iteration moves the
// basis, Q <- QR(L Q) with the columns in falling order of diag(Q^T L Q); V follows that order, M
// is turned into the new basis. A tensor of more axes has a basis for each; an axis longer than
// max_dim keeps its own, and so does a vector: Adam. The very first step sets the basis and moves
// nothing, so that no gradient is seen in a basis that was made of it.
//
// This is the reference of the authors (their repository's soap.py: merge_dims, precondition_1d and
// normalize_grads off), but that weight decay is as everywhere here, lr * weight_decay * parameter
// from before the step, in the first step too; and max_dim is 1024, not 10000. Vyas et al. 2024,
// "SOAP: improving and stabilizing Shampoo using Adam".
#include <cmath>

#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"
#include "descent/optim/shaped_rule.h"

namespace descent::optim {
namespace {

enum Variant : std::int64_t { plain, refreshing, first };

std::vector<int> axes_of(const Shape& shape, std::int64_t max_dim) {
  std::vector<int> axes;
  if (shape.rank() < 2) return axes;
  for (const int axis : long_axes(shape)) {
    if (shape[axis] <= max_dim) axes.push_back(axis);
  }
  return axes;
}

class Step {
 public:
  Step(const SoapScale& o, const Item& i)
      : o_(o), i_(i), axes_(axes_of(i.info.type.shape, o.max_dim)) {}

  Value direction() {
    const Value& g = i_.gradient;
    if (i_.variant == first) {
      for (std::size_t k = 0; k < axes_.size(); ++k) {
        moment(k) = (1 - o_.b2) * gram(g, axes_[k]);
        basis(k) = eigh(moment(k)).vectors;
      }
      return zeros_like(g);
    }
    Value &m = i_.state[0], &v = i_.state[1];
    const Value turned = into_basis(g);
    m = o_.b1 * m + (1 - o_.b1) * turned;
    v = o_.b2 * v + (1 - o_.b2) * square(turned);
    const Value result = out_of_basis(m / (sqrt(v) + o_.eps) * i_.scalars[0]);
    for (std::size_t k = 0; k < axes_.size(); ++k) {
      moment(k) = o_.b2 * moment(k) + (1 - o_.b2) * gram(g, axes_[k]);
    }
    if (i_.variant == refreshing && !axes_.empty()) {
      m = out_of_basis(m);
      for (std::size_t k = 0; k < axes_.size(); ++k) refresh(k, v);
      m = into_basis(m);
    }
    return result;
  }

 private:
  Value& moment(std::size_t k) { return i_.state[2 + 2 * k]; }
  Value& basis(std::size_t k) { return i_.state[3 + 2 * k]; }

  Value into_basis(Value x) {
    for (std::size_t k = 0; k < axes_.size(); ++k) x = multiply_axis(basis(k), x, axes_[k]);
    return x;
  }
  Value out_of_basis(Value x) {
    for (std::size_t k = 0; k < axes_.size(); ++k) x = multiply_axis(basis(k), x, axes_[k], true);
    return x;
  }

  void refresh(std::size_t k, Value& v) {
    const Value ahead = matmul(moment(k), basis(k));
    const Value order = falling_order(sum(basis(k) * ahead, {0}));
    v = take(v, order, axes_[k]);
    basis(k) = qr(take(ahead, order, 1)).q;
  }

  const SoapScale& o_;
  const Item& i_;
  std::vector<int> axes_;
};

}  // namespace

Optimizer scale_by_soap(SoapScale o) {
  require_fraction("soap", "beta1", o.b1);
  require_fraction("soap", "beta2", o.b2);
  require_not_negative("soap", "eps", o.eps);
  require_positive("soap", "refresh", static_cast<double>(o.refresh));
  ShapedRule rule{.name = "soap", .variants = 3};
  rule.state = [o](const Parameter& p) {
    std::vector<StateTensor> all{{"m", p.type}, {"v", p.type}};
    for (const int axis : axes_of(p.type.shape, o.max_dim)) {
      const Type square{p.type.dtype, {p.type.shape[axis], p.type.shape[axis]}, false};
      all.push_back({"moment" + std::to_string(axis), square});
      all.push_back({"basis" + std::to_string(axis), square});
    }
    return all;
  };
  rule.scalars = {{"correction", [o](std::int64_t step) {
                     if (step == 0) return 0.0;  // the step that moves nothing
                     const auto t = static_cast<double>(step);
                     return std::sqrt(1 - std::pow(o.b2, t)) / (1 - std::pow(o.b1, t));
                   }}};
  rule.update = [o](const Item& i) { return Step(o, i).direction(); };
  rule.variant = [o](std::int64_t step) -> std::int64_t {
    if (step == 0) return first;
    return step % o.refresh == 0 ? refreshing : plain;
  };
  return per_parameter(std::move(rule));
}

Optimizer soap(const SoapOptions& o) {
  return around(scale_by_soap(o.scale),
                {.lr = o.lr, .weight_decay = o.weight_decay, .decayed = o.decayed});
}

void register_soap(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "soap",
       .help = "Adam in the eigenbasis of Shampoo's second moments (Vyas et al. 2024)",
       .lr = 3e-3,
       .weight_decay = 0.01,
       .decoupled = true,
       .options = {number_option("beta1", 0.95, "decay of the mean gradient", 0, 1),
                   number_option("beta2", 0.95, "decay of the mean square and the moments", 0, 1),
                   number_option("eps", 1e-8, "added to the root of the mean square"),
                   {.key = "refresh",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{10},
                    .help = "steps from one power iteration of the basis to the next",
                    .min = 1},
                   {.key = "max_dim",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{1024},
                    .help = "an axis longer than this keeps its own basis",
                    .min = 0}},
       .rule = [](const Options& o) {
         return scale_by_soap({.b1 = o.number("beta1"),
                               .b2 = o.number("beta2"),
                               .eps = o.number("eps"),
                               .refresh = o.integer("refresh"),
                               .max_dim = o.integer("max_dim")});
       }});
}

}  // namespace descent::optim
