// ai.onnx.preview.training: inputs R (rate), T (updates before), then the parameters, their
// gradients and states; outputs the new parameters and states.
#include "descent/optim/optimizers.h"

#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

// norm_coefficient is an L2 penalty before the rule.
Values updated(const Node& n, optim::Optimizer rule, std::int64_t step, std::size_t slots) {
  if (n.number("norm_coefficient_post", 0) != 0) throw Uncovered{"decay after the step"};
  const double rate = n.arrays[0].item(), penalty = n.number("norm_coefficient", 0);
  std::vector<optim::Optimizer> chain;
  if (penalty != 0) chain.push_back(optim::l2_penalty(penalty, optim::every_parameter));
  chain.push_back(std::move(rule));
  chain.push_back(optim::scale_by_schedule(rate));
  const auto optimizer = optim::chain(std::move(chain));

  const auto count = (static_cast<std::size_t>(n.inputs()) - 2) / (2 + slots);
  const ValueSpan all = ValueSpan(n.values).subspan(2);
  std::vector<optim::Parameter> info;
  for (std::size_t i = 0; i < count; ++i) info.push_back({std::to_string(i), all[i].type(), true});
  Values scalars;
  for (const auto& s : optimizer->scalars(DType::float32)) scalars.push_back(scalar(s.at(step)));
  const auto next =
      optim::apply_optimizer(optimizer, info, all.first(count), all.subspan(count, count),
                             all.subspan(2 * count), scalars);
  Values out = next.parameters;
  out.insert(out.end(), next.state.begin(), next.state.end());
  return out;
}

std::int64_t updates_before(const Node& n) { return n.integers_of(1).at(0); }

// Without bias correction where T is 0, as after very many steps of ours. With it ONNX adds epsilon
// to the uncorrected root, PyTorch and we to the corrected one. The case without an epsilon was
// made with 1e-2, not with the operator's default.
Values adam(const Node& n) {
  if (updates_before(n) != 0) throw Uncovered{"epsilon before the bias correction"};
  constexpr std::int64_t long_after = 1'000'000'000;
  return updated(n,
                 optim::scale_by_adam({.b1 = n.number("alpha", 0.9),
                                       .b2 = n.number("beta", 0.999),
                                       .eps = n.number("epsilon", 1e-2)}),
                 long_after, 2);
}

Values adagrad(const Node& n) {
  return updated(n,
                 optim::scale_by_adagrad(
                     {.lr_decay = n.number("decay_factor", 0), .eps = n.number("epsilon", 1e-6)}),
                 updates_before(n), 1);
}

// beta = 1 - dampening, from the second update on.
Values momentum(const Node& n) {
  const auto step = updates_before(n);
  return updated(n,
                 optim::trace({.momentum = n.number("alpha", 0),
                               .dampening = step == 0 ? 0 : 1 - n.number("beta", 1),
                               .nesterov = n.text("mode", "") == "nesterov"}),
                 step, 1);
}

}  // namespace

void add_optimizers(Table& table) {
  table["Adam"] = adam;
  table["Adagrad"] = adagrad;
  table["Momentum"] = momentum;
}

}  // namespace descent::onnx_test
