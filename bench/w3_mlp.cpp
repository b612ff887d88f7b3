// W3: MLP 784-512-512-10, ReLU, batch 128, Adam 1e-3, 468 steps over 60,000 rows in file order,
// through the training step that `descent train` uses. Quality: mean loss of the last 50 batches.
#include <cstring>

#include "bench/workload.h"
#include "descent/nn/layers.h"
#include "descent/optim/optimizers.h"
#include "descent/train/step.h"

using namespace descent;

namespace {

constexpr std::int64_t kRows = 60000, kBatch = 128, kSteps = kRows / kBatch;

struct Data {
  Array x{DType::float32, {kRows, 784}}, y{DType::int64, {kRows}};
  // Ten prototypes and noise; every tenth label is another's.
  Data() {
    const Array prototypes = bench::uniform(31, {10, 784}, 1.0f),
                noise = bench::uniform(32, {kRows, 784}, 1.0f);
    auto xs = x.as<float>();
    auto ys = y.as<std::int64_t>();
    for (std::int64_t i = 0; i < kRows; ++i) {
      const std::int64_t c = (i * 7 + i / 10) % 10;
      ys[static_cast<std::size_t>(i)] = i % 10 == 9 ? (c + 3) % 10 : c;
      for (std::int64_t j = 0; j < 784; ++j) {
        xs[static_cast<std::size_t>(i * 784 + j)] =
            0.25f * prototypes.as<float>()[static_cast<std::size_t>(c * 784 + j)] +
            0.75f * noise.as<float>()[static_cast<std::size_t>(i * 784 + j)];
      }
    }
  }
};

// Parameter k: uniform(1000 + k) within 1 / sqrt(fan in); biases zero.
void reset(train::TrainState& state) {
  for (std::size_t k = 0; k < state.parameters.size(); ++k) {
    Array& a = state.parameters[k].second;
    std::memset(a.raw(), 0, a.bytes());
    if (a.shape().rank() < 2) continue;
    const Array start =
        bench::uniform(1000 + k, a.shape(),
                       static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.shape()[1]))));
    std::memcpy(a.raw(), start.raw(), a.bytes());
  }
  for (auto& [name, a] : state.optimizer) std::memset(a.raw(), 0, a.bytes());
  state.step = 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  const Data data;
  const auto model =
      nn::sequential(nn::linear(512), nn::relu(), nn::linear(512), nn::relu(), nn::linear(10));
  const auto loss = nn::cross_entropy();
  const auto optimizer = optim::adam({.lr = 1e-3});
  const auto variables = nn::describe(model, {DType::float32, {1, 784}});
  train::TrainState state;
  state.parameters = nn::initialize(variables, 1);
  state.optimizer = train::TrainStep::initial_state(optimizer, variables, DType::float32);
  train::StepOptions options;
  options.shards = 2;
  options.pool = std::make_shared<ThreadPool>(arguments.threads);
  options.mixed = arguments.precision == "bf16";
  train::TrainStep step(model, loss, optimizer, variables, state, options);
  const auto run = [&](std::int64_t steps) {
    reset(state);
    double tail = 0;
    for (std::int64_t i = 0; i < steps; ++i) {
      data::Batch batch;
      batch.features = data.x.rows(i * kBatch, (i + 1) * kBatch);
      batch.targets = data.y.rows(i * kBatch, (i + 1) * kBatch);
      batch.rows = kBatch;
      const auto result = step.run(batch);
      if (i >= steps - 50) tail += result.loss / 50;
    }
    return tail;
  };
  run(50);  // compiles and warms up
  bench::measure("W3", "mlp 784-512-512-10, batch 128", arguments, kSteps,
                 [&] { return run(kSteps); });
}
