#include "descent/train/averaged.h"

#include <cstring>

namespace descent::train {

AveragedWeights::AveragedWeights(const optim::Optimizer& optimizer,
                                 const std::vector<nn::Variable>& variables, TrainState& state)
    : state_(state), tree_(state.parameters) {
  std::vector<optim::Parameter> info;
  for (const auto& v : variables) {
    if (v.trained) info.push_back({v.name, v.type, v.decay});
  }
  const auto averaged = [&](ValueSpan in) {
    return optimizer->averaged(in.first(info.size()), in.subspan(info.size()), info);
  };
  std::vector<PlanInput> inputs;
  Values symbols;
  for (const auto* tree : {&state.parameters, &state.optimizer}) {
    for (const auto& [name, array] : *tree) {
      inputs.push_back({{array.dtype(), array.shape(), false}, name, array});
      symbols.push_back(input(inputs.back().type, name));
    }
  }
  if (averaged(symbols).empty()) return;
  tree_ = clone(state.parameters);
  plan_ = compile(averaged, inputs);
}

void AveragedWeights::refresh() {
  if (!plan_) return;
  if (state_.step == 0) return copy_into(tree_, state_.parameters);
  plan_.run();
  for (std::size_t i = 0; i < tree_.size(); ++i) {
    const Array average = plan_.output(static_cast<int>(i));
    std::memcpy(tree_[i].second.raw(), average.raw(), average.bytes());
  }
}

}  // namespace descent::train
