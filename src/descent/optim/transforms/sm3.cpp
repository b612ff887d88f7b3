// SM3: Adagrad with one sum for each row, column, ... instead of each element.
//
//   s = min over axes of the sum of the element's row, column, ...   (rank < 2: its own sum)
//   a_t = b2 s + (1 - b2) g_t^2  (b2 = 1: s + g_t^2);  each sum: the largest a_t of its row, ...
//   u_t = g_t / sqrt(a_t + eps), 0 where a_t is 0
//   direction: m_t = momentum m_{t-1} + (1 - momentum) u_t
//
// optax's form and defaults (SM3-II of the paper; b2 < 1 as its authors' program has it). Memory
// for a matrix of m by n: m + n, and the momentum where there is one. lr .1: the paper's range.
// Anil et al. 2019, "Memory-efficient adaptive optimization".
#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

int axes_of(const Parameter& p) { return std::max(p.type.shape.rank(), 1); }

// One slot for each axis, with extent 1 on the others.
std::vector<Rule::Slot> sums_of(const Parameter& p) {
  const auto& shape = p.type.shape;
  if (shape.rank() < 2) return {{"sum"}};
  std::vector<Rule::Slot> slots;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    Shape own(std::vector<std::int64_t>(static_cast<std::size_t>(shape.rank()), 1));
    own[axis] = shape[axis];
    slots.push_back({.name = "sum" + std::to_string(axis), .shape = own});
  }
  return slots;
}

// The largest elements along all axes but one.
Value largest_of_axis(const Value& a, int axis) {
  std::vector<int> others;
  for (int k = 0; k < a.rank(); ++k) {
    if (k != axis) others.push_back(k);
  }
  return max(a, others, true);
}

Optimizer scale_by_sm3(const Sm3Options& o) {
  require_fraction("sm3", "momentum", o.momentum);
  require_not_negative("sm3", "eps", o.eps);
  Rule rule{.name = "sm3"};
  rule.slots_of = [o](const Parameter& p) {
    auto slots = sums_of(p);
    if (o.momentum != 0) slots.push_back({"m"});
    return slots;
  };
  rule.update = [o](const Item& i) {
    const int axes = axes_of(i.info);
    Value sums = i.state[0];
    for (int k = 1; k < axes; ++k) sums = minimum(sums, i.state[static_cast<std::size_t>(k)]);
    const auto a = (o.b2 == 1 ? 1.0 : 1 - o.b2) * square(i.gradient) + o.b2 * sums;
    if (axes == 1) {
      i.state[0] = a;
    } else {
      for (int k = 0; k < axes; ++k) i.state[static_cast<std::size_t>(k)] = largest_of_axis(a, k);
    }
    // With eps = 0 an element without gradients would be 0 / 0.
    const auto some = greater_mask(a, 0.0);
    const auto u = some * i.gradient / sqrt(a + o.eps + (1.0 - some));
    if (o.momentum == 0) return u;
    auto& m = i.state.back();
    m = o.momentum * m + (1 - o.momentum) * u;
    return m;
  };
  return per_parameter(std::move(rule));
}

}  // namespace

Optimizer sm3(const Sm3Options& o) {
  return around(scale_by_sm3(o), {.lr = o.lr, .l2 = o.weight_decay, .decayed = o.decayed});
}

void register_sm3(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "sm3",
       .help = "Adagrad with one sum for each row and column, so little memory (Anil et al. 2019)",
       .lr = 0.1,
       .options = {number_option("momentum", 0.9, "decay of the mean direction; 0: none is kept", 0,
                                 1),
                   number_option("beta2", 1, "decay of the sums; 1: none", 0, 1),
                   number_option("eps", 1e-8, "added to the sums")},
       .rule = [](const Options& o) {
         return scale_by_sm3(
             {.momentum = o.number("momentum"), .b2 = o.number("beta2"), .eps = o.number("eps")});
       }});
}

}  // namespace descent::optim
