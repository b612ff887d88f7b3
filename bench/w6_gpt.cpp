// W6: GPT character language model (preset gpt with learned positions, exact GELU, no biases, tied
// output), AdamW 1e-3, betas 0.9 and 0.99, decay 0.1 on matrices and embeddings, gradient norm
// clipped to 1, 50 steps. "small": 4 layers, 4 heads, width 128, context 64, batch 12; "medium": 6,
// 6, 384, 256, 8. Quality: mean loss of the last 10 steps.
#include "bench/text.h"
#include "bench/training.h"

using namespace descent;

int main(int argc, char** argv) {
  constexpr int kSteps = 50;
  struct Size {
    std::string name;
    std::int64_t layers, heads, width, context, batch;
  };
  const auto arguments = bench::parse(argc, argv);
  const auto text = bench::prepare(bench::symbols);
  const auto optimizer =
      optim::chain({optim::clip_by_global_norm(1),
                    optim::adamw({.lr = 1e-3, .b1 = 0.9, .b2 = 0.99, .weight_decay = 0.1})});
  for (const auto& size : {Size{"small", 4, 4, 128, 64, 12}, Size{"medium", 6, 6, 384, 256, 8}}) {
    if (!arguments.wanted(size.name)) continue;
    const auto model = bench::preset(
        "gpt",
        {{"layers", size.layers}, {"heads", size.heads}, {"width", size.width}, {"bias", false}},
        {.sample = {size.context}, .outputs = bench::kSymbols, .vocabulary = bench::kSymbols});
    const auto bound = [](double) { return 0.02 * std::sqrt(3.0); };
    bench::Training training(model, nn::cross_entropy(), optimizer,
                             {DType::int64, {1, size.context}}, bound, arguments);
    bench::measure("W6", size.name, arguments, kSteps, training.work(10, [&](int i) {
      return bench::windows(text, static_cast<std::uint64_t>(i), size.batch, size.context);
    }));
  }
}
