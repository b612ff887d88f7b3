#include "descent/train/averaged.h"

#include <fmt/format.h>

#include <cstring>

#include "descent/optim/lazy_rows.h"

namespace descent::train {

AveragedWeights::AveragedWeights(const Job& job, TrainState& state, const StepOptions& options)
    : state_(state), tree_(state.parameters), buffers_(state.buffers) {
  std::vector<optim::Parameter> info;
  for (const auto& v : job.variables) {
    if (v.trained) info.push_back({v.name, v.type, v.decay});
  }
  const auto averaged = [&](ValueSpan in) {
    return job.optimizer->averaged(in.first(info.size()), in.subspan(info.size()), info);
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
  // Rows that are caught up and points that a search accepted are weights that are trained.
  average_ = optim::as_lazy_rows(job.optimizer) == nullptr && !job.optimizer->searches();
  if (!average_) return;
  const std::int64_t batches = job.config.train.integer("average_statistics_batches");
  if (batches == 0 || state.buffers.empty()) return;
  buffers_ = clone(state.buffers);
  statistics_ =
      std::make_unique<BatchStatistics>(job, state.seed, tree_, buffers_, options, batches);
  if (statistics_->any()) return;
  statistics_ = nullptr;
  buffers_ = state.buffers;
}

void AveragedWeights::refresh() {
  if (!plan_) return;
  if (state_.step == 0) {
    copy_into(tree_, state_.parameters);
    if (statistics_) copy_into(buffers_, state_.buffers);
    return;
  }
  plan_.run();
  for (std::size_t i = 0; i < tree_.size(); ++i) {
    const Array average = plan_.output(static_cast<int>(i));
    std::memcpy(tree_[i].second.raw(), average.raw(), average.bytes());
  }
  if (statistics_) statistics_->estimate();
}

std::string AveragedWeights::note() const {
  if (!average_) return {};
  const std::string what = "averaged weights are validated and saved";
  if (statistics_) {
    return fmt::format("{}, with statistics of the normalisation from {} batches of training rows",
                       what, statistics_->batches());
  }
  if (state_.buffers.empty()) return what;
  return what +
         "; the running statistics of the normalisation are those of the weights that are "
         "trained";
}

}  // namespace descent::train
