// Adafactor: a matrix's mean squares kept as those of its rows and columns.
//
//   w_t = t^beta2_decay
//   rank >= 2: R_t = (1 - w_t) R_{t-1} + w_t mean of g^2 over columns,  C_t likewise over rows
//              V_t = R_t C_t / max(mean of R_t over rows, eps1)         (the last two axes)
//   otherwise: V_t = (1 - w_t) V_{t-1} + w_t g^2
//   U_t = g / sqrt(max(V_t, eps1^2))
//   update: -max(eps2, rms(theta)) min(lr, 1 / sqrt(t)) U_t / max(1, rms(U_t) / d)
//           - lr weight_decay theta
//
// PyTorch's form and defaults: eps1 is applied last (the paper and Keras add it inside of the
// factors) and is the machine epsilon of the parameter's type where it is not set. Memory for a
// matrix of m by n: m + n. Shazeer & Stern 2018, "Adafactor: Adaptive learning rates with sublinear
// memory cost".
#include <cmath>
#include <limits>

#include "descent/ops/ops.h"
#include "descent/optim/more_optimizers.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

bool factored(const Parameter& p) { return p.type.shape.rank() >= 2; }

std::vector<Rule::Slot> factors_of(const Parameter& p) {
  if (!factored(p)) return {{"v"}};
  Shape rows = p.type.shape, columns = p.type.shape;
  rows[-1] = 1;
  columns[-2] = 1;
  return {{.name = "row", .shape = rows}, {.name = "column", .shape = columns}};
}

double epsilon_of(DType dtype) {
  return dtype == DType::float64 ? std::numeric_limits<double>::epsilon()
                                 : static_cast<double>(std::numeric_limits<float>::epsilon());
}

Value root_mean_square(const Value& x) { return sqrt(mean(square(x))); }

// The estimate V_t; w and kept are w_t and 1 - w_t.
Value mean_square(const Item& i, double eps1) {
  const auto &w = i.scalars[0], &kept = i.scalars[1];
  const auto square_of = square(i.gradient);
  if (!factored(i.info)) {
    i.state[0] = kept * i.state[0] + w * square_of;
    return i.state[0];
  }
  auto &row = i.state[0], &column = i.state[1];
  row = kept * row + w * mean(square_of, {-1}, true);
  column = kept * column + w * mean(square_of, {-2}, true);
  return row / maximum(mean(row, {-2}, true), eps1) * column;
}

Optimizer factored_steps(const AdafactorOptions& o) {
  require_positive("adafactor", "d", o.d);
  require_not_negative("adafactor", "eps2", o.eps2);
  if (o.eps1) require_positive("adafactor", "eps1", *o.eps1);
  const auto weight = [o](std::int64_t step) {
    return std::pow(static_cast<double>(step + 1), o.beta2_decay);
  };
  const auto rate = o.lr.schedule();
  Rule rule{.name = "adafactor"};
  rule.slots_of = factors_of;
  rule.scalars = {{"weight", weight},
                  {"kept", [weight](std::int64_t step) { return 1 - weight(step); }},
                  {"minus_rate", [rate](std::int64_t step) {
                     return -std::min(rate(step), 1 / std::sqrt(static_cast<double>(step + 1)));
                   }}};
  rule.update = [o](const Item& i) {
    const double eps1 = o.eps1.value_or(epsilon_of(i.info.type.dtype));
    const auto u = i.gradient / sqrt(maximum(mean_square(i, eps1), eps1 * eps1));
    const auto alpha = i.scalars[2] * maximum(root_mean_square(i.parameter), o.eps2);
    return u * (alpha / maximum(root_mean_square(u) / o.d, 1.0));
  };
  auto steps = per_parameter(std::move(rule));
  if (o.weight_decay == 0) return steps;
  return chain({std::move(steps), decay_by_rate(o.lr, o.weight_decay, o.decayed)});
}

}  // namespace

Optimizer adafactor(const AdafactorOptions& o) {
  return around(factored_steps(o), {.lr = o.lr, .decayed = o.decayed, .whole = true});
}

void register_adafactor(OptimizerRegistry& registry) {
  add_optimizer(
      registry,
      {.name = "adafactor",
       .help = "mean squares of rows and columns only, so little memory (Shazeer & Stern 2018)",
       .lr = 1e-2,
       .options = {{.key = "beta2_decay",
                    .type = OptionType::number,
                    .fallback = -0.8,
                    .help = "the mean squares move by step^beta2_decay",
                    .max = 0},
                   open_option("eps1",
                               "the root of the mean square is at least this; default: the machine "
                               "epsilon of the parameter's type"),
                   number_option("eps2", 1e-3, "a parameter counts as at least this large"),
                   number_option("d", 1, "largest root mean square of an update of rate 1"),
                   number_option("weight_decay", 0,
                                 "decoupled weight decay: parameters shrink by lr * weight_decay "
                                 "each step")},
       .whole = [](const Options& o, const Schedule& rate) {
         std::optional<double> eps1;
         if (o.has("eps1")) eps1 = o.number("eps1");
         return factored_steps({.lr = rate,
                                .beta2_decay = o.number("beta2_decay"),
                                .d = o.number("d"),
                                .eps2 = o.number("eps2"),
                                .eps1 = eps1,
                                .weight_decay = o.number("weight_decay"),
                                .decayed = decayed_by(o)});
       }});
}

}  // namespace descent::optim
