// W4: convolutional nets on images of 3x32x32, batch 128, SGD with momentum 0.9 and weight decay
// 5e-4 on every parameter, 100 steps over 12,800 rows in file order. "resnet20": the preset resnet,
// lr 0.05. "lenet": the preset lenet with ReLU and max pooling, lr 0.005. Quality: mean loss of the
// last 10 batches.
#include "bench/training.h"

using namespace descent;

namespace {

constexpr std::int64_t kRows = 12800, kBatch = 128;

// Prototypes of 8x8 patches of one colour.
bench::Labelled images() {
  const Array patches = bench::uniform(41, {10, 3, 4, 4}, 1.0f);
  Array prototypes(DType::float32, {10, 3, 32, 32});
  for (std::int64_t i = 0; i < prototypes.size(); ++i) {
    const std::int64_t column = i % 32, row = i / 32 % 32, plane = i / 1024;
    prototypes.as<float>()[static_cast<std::size_t>(i)] =
        patches.as<float>()[static_cast<std::size_t>(plane * 16 + row / 8 * 4 + column / 8)];
  }
  return bench::labelled(prototypes, kRows);
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  const auto data = bench::prepare(images);
  const auto train = [&](const std::string& name, const nn::Layer& model, double lr) {
    if (!arguments.wanted(name)) return;
    const auto optimizer = optim::sgd(
        {.lr = lr, .momentum = 0.9, .weight_decay = 5e-4, .decayed = optim::every_parameter});
    bench::Training training(model, nn::cross_entropy(), optimizer,
                             {DType::float32, {1, 3, 32, 32}}, bench::relu_bound(), arguments);
    bench::measure("W4", name, arguments, kRows / kBatch,
                   training.work(10, [&](int i) { return bench::rows_of(data, kBatch, i); }));
  };
  const nn::Problem problem{.sample = {3, 32, 32}, .outputs = 10};
  using Text = std::string;
  train("resnet20", bench::preset("resnet", {}, problem), 0.05);
  train("lenet",
        bench::preset("lenet", {{"activation", Text("relu")}, {"pool", Text("max")}}, problem),
        0.005);
}
