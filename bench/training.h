// A workload that trains a model: the compiled training step of `descent train`, from the suite's
// initial values.
#pragma once
#include <cmath>
#include <cstring>
#include <numeric>

#include "bench/workload.h"
#include "descent/nn/layers.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "descent/optim/optimizers.h"
#include "descent/train/step.h"

namespace descent::bench {

// Initial weights lie within this bound, given the fan in.
using Bound = std::function<double(double)>;
inline Bound default_bound() {
  return [](double fan_in) { return 1 / std::sqrt(fan_in); };
}
inline Bound relu_bound() {
  return [](double fan_in) { return std::sqrt(6 / fan_in); };
}

class Training {
 public:
  // sample: type of a batch of one row.
  Training(const nn::Layer& model, const nn::Loss& loss, const optim::Optimizer& optimizer,
           const Type& sample, Bound bound, const Arguments& arguments)
      : variables_(nn::describe(model, sample)), bound_(std::move(bound)) {
    for (auto& [name, array] : nn::initialize(variables_, 1)) {
      const auto trained = [&name](const nn::Variable& v) { return v.name == name && v.trained; };
      const bool parameter = std::any_of(variables_.begin(), variables_.end(), trained);
      (parameter ? state_.parameters : state_.buffers).emplace_back(name, array);
    }
    first_buffers_ = train::clone(state_.buffers);
    state_.optimizer = train::TrainStep::initial_state(optimizer, variables_, DType::float32);
    train::StepOptions options;
    options.shards = 2;
    options.pool = std::make_shared<ThreadPool>(arguments.threads);
    options.mixed = arguments.precision == "bf16";
    options.profile = arguments.profile;
    step_ = std::make_unique<train::TrainStep>(model, loss, optimizer, variables_, state_, options);
  }

  // What measure() runs, with batch(i) at step i; the result is the mean loss of the last `tail`
  // steps.
  bench::Work work(int tail, std::function<data::Batch(int)> batch) {
    return {.reset = [this] { reset(); },
            .run =
                [this, batch = std::move(batch)](int steps) {
                  losses_.clear();
                  for (int i = 0; i < steps; ++i) losses_.push_back(step_->run(batch(i)).loss);
                },
            .result =
                [this, tail] {
                  const auto n = std::min<std::ptrdiff_t>(tail, std::ssize(losses_));
                  return std::accumulate(losses_.end() - n, losses_.end(), 0.0) /
                         static_cast<double>(n);
                },
            .plan = [this] { return &step_->largest_plan(); }};
  }

 private:
  // Parameter number k, in the model's order: a matrix is uniform(1000 + k) within the bound, the
  // weight of a normalisation 1, any other vector 0.
  void reset() {
    for (std::size_t k = 0; k < state_.parameters.size(); ++k) {
      auto& [name, a] = state_.parameters[k];
      Array start(DType::float32, a.shape());
      if (a.shape().rank() >= 2) {
        const double fan_in = static_cast<double>(a.size()) / static_cast<double>(a.shape()[0]);
        start = uniform(1000 + k, a.shape(), static_cast<float>(bound_(fan_in)));
      } else if (name.ends_with("weight")) {
        std::ranges::fill(start.as<float>(), 1.0f);
      }
      std::memcpy(a.raw(), start.raw(), a.bytes());
    }
    train::copy_into(state_.buffers, first_buffers_);
    for (auto& [name, a] : state_.optimizer) std::memset(a.raw(), 0, a.bytes());
    state_.step = 0;
  }

  std::vector<nn::Variable> variables_;
  Bound bound_;
  train::TrainState state_;
  nn::Tree first_buffers_;
  std::unique_ptr<train::TrainStep> step_;
  std::vector<double> losses_;
};

// The model of a preset with these options, as `descent train` makes it.
inline nn::Layer preset(const std::string& name, const std::map<std::string, OptionValue>& given,
                        const nn::Problem& problem) {
  Options options;
  for (const auto& [key, value] : given) options.set(key, value);
  const auto& entry = nn::presets().at(name);
  return entry.make(resolve(entry.options, options, name), problem);
}

// Batch i of consecutive rows in file order.
inline data::Batch rows_of(const Labelled& data, std::int64_t batch, int i) {
  data::Batch b;
  b.features = data.x.rows(i * batch, (i + 1) * batch);
  b.targets = data.y.rows(i * batch, (i + 1) * batch);
  b.rows = batch;
  return b;
}

}  // namespace descent::bench
