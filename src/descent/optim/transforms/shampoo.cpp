// Shampoo: the gradient of a tensor between inverse roots of the second moments of its axes.
//
//   matrix:  L_t = L_{t-1} + G G^T,  R_t = R_{t-1} + G^T G
//   direction: (L_t + eps)^(-1/4) G (R_t + eps)^(-1/4)
//
// A tensor of k axes (those of extent 1 do not count) has k such statistics, each with the power
// -1/(2k). An axis longer than max_dim keeps the diagonal of its statistic alone, and so does a
// vector, elementwise: Adagrad. beta2 < 1: exponential averages, over their share 1 - beta2^t, as
// in Shi et al. 2023; 1: the paper's sums. The roots are computed every `refresh` steps, the first
// included, from a decomposition in double precision; between, the last ones serve.
//
// graft: the direction is scaled, for each parameter alone, to the length that another rule's step
// would have (Agarwal et al. 2020, "Disentangling adaptive gradient methods from learning rates"):
// sgd: |G|; adagrad: |G / (sqrt(sum G^2) + 1e-10)|. momentum: b = momentum b + direction, last.
//
// Gupta, Koren & Singer 2018, "Shampoo: preconditioned stochastic tensor optimization"; Anil et al.
// 2020, "Scalable second order optimization for deep learning"; Shi et al. 2023, "A distributed
// data-parallel PyTorch implementation of the distributed Shampoo optimizer".
#include <bit>
#include <cmath>

#include "descent/base/error.h"
#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"
#include "descent/optim/shaped_rule.h"

namespace descent::optim {
namespace {

// Which state a parameter has, in order.
struct Layout {
  explicit Layout(const Parameter& p, const ShampooScale& o) {
    const auto& shape = p.type.shape;
    axes = long_axes(shape);
    if (axes.size() < 2) axes.clear();
    for (const int axis : axes) {
      const auto d = shape[axis];
      whole.push_back(d <= o.max_dim);
      if (whole.back()) {
        tensors.push_back({"moment" + std::to_string(axis), {p.type.dtype, {d, d}, false}});
        tensors.push_back({"root" + std::to_string(axis), {p.type.dtype, {d, d}, false}});
      } else {
        tensors.push_back({"squares" + std::to_string(axis), {p.type.dtype, {d}, false}});
      }
    }
    if (axes.empty()) tensors.push_back({"squares", p.type});
    if (o.graft == Graft::adagrad) tensors.push_back({"graft", p.type});
    if (o.momentum != 0) tensors.push_back({"momentum", p.type});
  }
  std::vector<int> axes;    // with statistics of their own; none: elementwise
  std::vector<bool> whole;  // by axis: the matrix, not its diagonal
  std::vector<StateTensor> tensors;
};

class Step {
 public:
  Step(const ShampooScale& o, const Item& i) : o_(o), i_(i), layout_(i.info, o) {}

  Value direction() {
    Value x = i_.gradient;
    for (std::size_t k = 0; k < layout_.axes.size(); ++k) {
      x = layout_.whole[k] ? by_matrix(x, layout_.axes[k]) : by_diagonal(x, layout_.axes[k]);
    }
    if (layout_.axes.empty()) {
      x = x / sqrt(averaged(next(), square(i_.gradient)) + o_.eps);
    }
    x = grafted(x);
    if (o_.momentum == 0) return x;
    Value& b = next();
    return b = o_.momentum * b + x;
  }

 private:
  Value& next() { return i_.state[used_++]; }

  // Takes `now` into the statistic; gives it as it is to be used.
  Value averaged(Value& statistic, const Value& now) {
    if (o_.beta2 == 1) return statistic = statistic + now;
    statistic = o_.beta2 * statistic + (1 - o_.beta2) * now;
    return statistic * i_.scalars[0];
  }

  double power() const { return -0.5 / static_cast<double>(layout_.axes.size()); }

  Value by_matrix(const Value& x, int axis) {
    Value &moment = next(), &root = next();
    const Value now = averaged(moment, gram(i_.gradient, axis));
    if (i_.variant == 1) {
      const auto e = eigh(now);
      const Value powers = pow(maximum(e.values, 0.0) + o_.eps, power());
      root = matmul(e.vectors * powers, e.vectors, false, true);
    }
    return multiply_axis(root, x, axis);
  }

  Value by_diagonal(const Value& x, int axis) {
    const Value now = averaged(next(), square_sums(i_.gradient, axis));
    return x * along_axis(pow(now + o_.eps, power()), axis, x.rank());
  }

  Value grafted(const Value& x) {
    if (o_.graft == Graft::none) return x;
    Value other = i_.gradient;
    if (o_.graft == Graft::adagrad) {
      Value& squares = next();
      squares = squares + square(other);
      other = other / (sqrt(squares) + 1e-10);
    }
    return x * (norm(other) / (norm(x) + 1e-30));  // 1e-30: no gradient, no step
  }

  const ShampooScale& o_;
  const Item& i_;
  Layout layout_;
  std::size_t used_ = 0;
};

}  // namespace

Optimizer scale_by_shampoo(ShampooScale o) {
  require_positive("shampoo", "beta2", o.beta2);
  if (o.beta2 != 1) require_fraction("shampoo", "beta2", o.beta2);
  require_positive("shampoo", "eps", o.eps);
  require_fraction("shampoo", "momentum", o.momentum);
  require_positive("shampoo", "refresh", static_cast<double>(o.refresh));
  ShapedRule rule{.name = "shampoo", .variants = 2};
  rule.state = [o](const Parameter& p) { return Layout(p, o).tensors; };
  if (o.beta2 != 1) {
    rule.scalars = {{"share", [o](std::int64_t step) {
                       return 1 / (1 - std::pow(o.beta2, static_cast<double>(step + 1)));
                     }}};
  }
  rule.update = [o](const Item& i) { return Step(o, i).direction(); };
  rule.variant = [o](std::int64_t step) {
    const bool early = step < o.refresh && std::has_single_bit(static_cast<std::uint64_t>(step));
    return early || step % o.refresh == 0 ? 1 : 0;
  };
  return per_parameter(std::move(rule));
}

Optimizer shampoo(const ShampooOptions& o) {
  return around(scale_by_shampoo(o.scale),
                {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_shampoo(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "shampoo",
       .help = "the gradient between inverse roots of the second moments of its rows and columns "
               "(Gupta et al. 2018)",
       .lr = 0.02,
       .options = {number_option("beta2", 1, "decay of the second moments; 1: their sum", 0, 1),
                   number_option("eps", 1e-6, "added to the eigenvalues of the second moments"),
                   number_option("momentum", 0, "part of the last direction that is kept", 0, 1),
                   {.key = "refresh",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{10},
                    .help = "steps from one computation of the inverse roots to the next",
                    .min = 1},
                   {.key = "max_dim",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{512},
                    .help = "an axis longer than this keeps the diagonal of its moments alone",
                    .min = 0},
                   {.key = "graft",
                    .type = OptionType::text,
                    .fallback = std::string("none"),
                    .help = "the rule whose length of step each parameter takes",
                    .choices = {"none", "sgd", "adagrad"}}},
       .rule = [](const Options& o) {
         const auto& graft = o.text("graft");
         return scale_by_shampoo({.beta2 = o.number("beta2"),
                                  .eps = o.number("eps"),
                                  .momentum = o.number("momentum"),
                                  .refresh = o.integer("refresh"),
                                  .max_dim = o.integer("max_dim"),
                                  .graft = graft == "sgd"       ? Graft::sgd
                                           : graft == "adagrad" ? Graft::adagrad
                                                                : Graft::none});
       }});
}

}  // namespace descent::optim
