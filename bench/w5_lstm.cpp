// W5: LSTM character language model (preset char_rnn: embedding 128, two layers of 256, linear 65),
// batch 32 of 64 symbols, states zero at the start of each, Adam 2e-3, 50 steps. Quality: mean loss
// of the last 10 steps.
#include "bench/text.h"
#include "bench/training.h"

using namespace descent;

int main(int argc, char** argv) {
  constexpr std::int64_t kBatch = 32, kLength = 64, kSteps = 50;
  const auto arguments = bench::parse(argc, argv);
  const auto text = bench::prepare(bench::symbols);
  const auto model = bench::preset(
      "char_rnn", {},
      {.sample = {kLength}, .outputs = bench::kSymbols, .vocabulary = bench::kSymbols});
  bench::Training training(model, nn::cross_entropy(), optim::adam({.lr = 2e-3}),
                           {DType::int64, {1, kLength}}, bench::default_bound(), arguments);
  bench::measure("W5", "lstm", arguments, kSteps, training.work(10, [&](int i) {
    return bench::windows(text, static_cast<std::uint64_t>(i), kBatch, kLength);
  }));
}
