// The LSTM of W5 alone: two layers of 256 units on [64 steps, 32 rows, 128 features], forward and
// backward (all weights and the input), the batch in as many shards as threads.
//
//   lstm --threads 1|2 --runs 5 --precision float32|bf16 [--case gru|rnn]
//
// Prints a line like the workloads do, and the rate of its products.
#include "bench/workload.h"
#include "descent/autodiff/autodiff.h"
#include "descent/autodiff/recurrent.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"

using namespace descent;

namespace {

constexpr std::int64_t kSteps = 64, kRows = 32, kFeatures = 128, kUnits = 256;

Cell cell_of(const std::string& name) {
  return name == "gru" ? Cell::gru : name == "rnn" ? Cell::rnn_tanh : Cell::lstm;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  const std::string name = arguments.only.empty() ? "lstm" : arguments.only;
  const Cell cell = cell_of(name);
  const std::int64_t gates = (cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1) * kUnits;
  const RecurrentOptions options{.operands = arguments.precision == "bf16" ? DType::bfloat16
                                                                           : DType::float32};
  const Fn step = value_and_grad([&](ValueSpan in) {
    Value y = in[0];
    for (std::size_t k = 1; k < in.size(); k += 4)
      y = recurrent(cell, y, {in[k], in[k + 1], in[k + 2], in[k + 3]}, {}, {}, options).output;
    return batch_mean(square(y));
  });
  const std::int64_t rows = kRows / arguments.threads;
  std::vector<PlanInput> inputs{{{DType::float32, {kSteps, rows, kFeatures}, true}, "x", {}}};
  std::uint64_t seed = 1000;
  for (const std::int64_t features : {kFeatures, kUnits}) {
    for (const Shape& shape : {Shape{gates, features}, {gates, kUnits}, {gates}, {gates}})
      inputs.push_back({{DType::float32, shape}, "w", bench::uniform(seed++, shape, 1.0F / 16)});
  }
  CompileOptions compiled{.shards = arguments.threads};
  if (arguments.threads > 1) compiled.pool = std::make_shared<ThreadPool>(arguments.threads);
  Plan plan = compile(step, inputs, compiled);
  // Row n of every step, of whichever shard: the same numbers for any number of shards.
  const Array whole = bench::uniform(7, {kSteps, kRows, kFeatures}, 1);
  Array x = plan.input(0);
  for (std::int64_t i = 0; i < whole.size(); ++i) {
    const auto f = i % kFeatures, n = i / kFeatures % kRows, t = i / kFeatures / kRows;
    x.set_item(((n / rows * kSteps + t) * rows + n % rows) * kFeatures + f, whole.item(i));
  }
  double best = 1e30;
  const auto run = [&](int steps) {
    for (int i = 0; i < steps; ++i) {
      const double start = bench::now();
      plan.run();
      best = std::min(best, bench::now() - start);
    }
  };
  bench::measure("LSTM", name, arguments, 10,
                 {.reset = [] {}, .run = run, .result = [&] { return plan.output(0).item(); }});
  const double products = 3.0 * 2 * kSteps * kRows * gates * (kFeatures + 3 * kUnits);
  fmt::print("products {:.2f} GFLOP, {:.0f} GFLOP/s\n", products * 1e-9, products / best * 1e-9);
}
