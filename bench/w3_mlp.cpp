// W3: MLP 784-512-512-10, ReLU, batch 128, Adam 1e-3, 468 steps over 60,000 rows in file order.
// Quality: mean loss of the last 50 batches.
#include "bench/training.h"

using namespace descent;

int main(int argc, char** argv) {
  constexpr std::int64_t kRows = 60000, kBatch = 128;
  const auto arguments = bench::parse(argc, argv);
  const auto data = bench::prepare([] {
    return bench::labelled(bench::uniform(31, {10, 784}, 1.0f), kRows);
  });
  const auto model =
      nn::sequential(nn::linear(512), nn::relu(), nn::linear(512), nn::relu(), nn::linear(10));
  bench::Training training(model, nn::cross_entropy(), optim::adam({.lr = 1e-3}),
                           {DType::float32, {1, 784}}, bench::default_bound(), arguments);
  bench::measure("W3", "mlp", arguments, kRows / kBatch,
                 training.work(50, [&](int i) { return bench::rows_of(data, kBatch, i); }));
}
