// Presets: a row for each, its size for a known problem, and that all its parameters learn.
#include <gmock/gmock.h>

#include <set>

#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "tests/nn/harness.h"

namespace descent::nn::test {
namespace {

struct PresetCase {
  std::string name, preset;
  Options options;
  Problem problem;
  std::int64_t parameters;  // counted by hand
  std::string layers;       // their kinds
  bool sequence = false;    // outputs for every step
  Shape output() const {
    return sequence ? Shape{problem.sample[0], problem.outputs} : Shape{problem.outputs};
  }
};
void PrintTo(const PresetCase& c, std::ostream* out) { *out << c.name; }

// The layers of a residual block, and of one that halves the image.
const std::string kBlock = " conv2d batch_norm relu conv2d batch_norm relu";
const std::string kHalved = " conv2d batch_norm relu conv2d batch_norm subsample relu";
const std::string kSeparable = " depthwise_conv2d batch_norm relu conv2d batch_norm relu";

// Parameters of a depthwise 3x3 and a pointwise convolution, each with batch normalisation.
constexpr std::int64_t separable(std::int64_t from, std::int64_t to) {
  return 9 * from + 2 * from + from * to + 2 * to;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

const Shape kRow{13}, kImage{1, 28, 28}, kSmall{3, 6, 5}, kText{7};

const std::vector<PresetCase>& preset_cases() {
  static const std::vector<PresetCase> rows{
      {"linear", "linear", {}, {kRow, 3}, 13 * 3 + 3, "linear"},
      {"linear_of_images", "linear", {}, {kSmall, 2}, 90 * 2 + 2, "flatten linear"},
      {"mlp",
       "mlp",
       {},
       {kRow, 2},
       (13 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2),
       "linear relu linear relu linear"},
      {"mlp_without_hidden",
       "mlp",
       with({{"hidden", Integers{}}}),
       {kRow, 2},
       13 * 2 + 2,
       "linear"},
      {"mlp_with_all",
       "mlp",
       with({{"hidden", Integers{5}},
             {"batch_norm", true},
             {"dropout", 0.2},
             {"activation", "gelu"}}),
       {kSmall, 2},
       90 * 5 + 2 * 5 + (5 * 2 + 2),
       "flatten linear batch_norm gelu dropout linear"},
      // 28x28 -> 14x14 -> 7x7
      {"cnn",
       "cnn",
       {},
       {kImage, 10},
       9 * 16 + 2 * 16 + 16 * 9 * 32 + 2 * 32 + (32 * 49 * 128 + 128) + (128 * 10 + 10),
       "conv2d batch_norm relu max_pool2d conv2d batch_norm relu max_pool2d flatten linear relu "
       "linear"},
      // 6x5 -> 3x2 -> 1x1, and no third pooling
      {"cnn_small",
       "cnn",
       with({{"filters", Integers{2, 3, 4}},
             {"batch_norm", false},
             {"hidden", 0},
             {"dropout", 0.1},
             {"kernel", Integers{3, 2}}}),
       {kSmall, 2},
       (3 * 6 * 2 + 2) + (2 * 6 * 3 + 3) + (3 * 6 * 4 + 4) + (4 * 2 + 2),
       "conv2d relu max_pool2d conv2d relu max_pool2d conv2d relu flatten dropout linear"},
      // One block: attention 3 w^2 + w^2, MLP 8 w^2, two norms; then the last norm.
      {"gpt",
       "gpt",
       with({{"layers", 1}, {"heads", 2}, {"width", 8}}),
       {kText, 11, 11},
       11 * 8 + 7 * 8 + 12 * 64 + 2 * 8 + 8,
       "embedding position_embedding layer_norm linear linear layer_norm linear linear layer_norm",
       true},
      {"gpt_with_all",
       "gpt",
       with({{"layers", 1},
             {"heads", 2},
             {"width", 8},
             {"context", 9},
             {"dropout", 0.1},
             {"attention_dropout", 0.2},
             {"norm", "rms"},
             {"mlp", "swiglu"},
             {"positions", "rotary"},
             {"tied", false},
             {"bias", true}}),
       {kText, 11, 11},
       11 * 8 + (16 * 64 + (24 + 8 + 32 + 32 + 8)) + 2 * 8 + 8 + 11 * 8,
       "embedding dropout rms_norm linear linear dropout rms_norm linear linear linear dropout "
       "rms_norm linear",
       true},
      {"text_classifier",
       "text_classifier",
       with({{"layers", 1}, {"heads", 2}, {"width", 8}}),
       {kText, 3, 11},
       11 * 8 + 7 * 8 + 12 * 64 + (24 + 8 + 32 + 8) + 2 * 16 + 16 + (8 * 3 + 3),
       "embedding position_embedding dropout layer_norm linear linear dropout layer_norm linear "
       "linear dropout layer_norm linear"},
      {"text_classifier_post_norm",
       "text_classifier",
       with({{"layers", 1},
             {"heads", 2},
             {"width", 8},
             {"place", "post"},
             {"positions", "sinusoidal"},
             {"padding_idx", -1},
             {"dropout", 0.0}}),
       {kText, 3, 11},
       11 * 8 + 12 * 64 + (24 + 8 + 32 + 8) + 2 * 16 + (8 * 3 + 3),
       "embedding sinusoidal_positions linear linear layer_norm linear linear layer_norm linear"},
      // The paper's 60,000 are fewer: its second convolution sees some channels only.
      {"lenet",
       "lenet",
       {},
       {{1, 32, 32}, 10},
       61706,
       "conv2d tanh avg_pool2d conv2d tanh avg_pool2d flatten linear tanh linear tanh linear"},
      {"lenet_padded",
       "lenet",
       with({{"activation", "relu"}, {"pool", "max"}}),
       {kImage, 10},
       61706,
       "conv2d relu max_pool2d conv2d relu max_pool2d flatten linear relu linear relu linear"},
      // He et al. 2016: 0.27 million parameters.
      {"resnet",
       "resnet",
       {},
       {{3, 32, 32}, 10},
       269722,
       "conv2d batch_norm relu" + repeated(kBlock, 3) + kHalved + repeated(kBlock, 2) + kHalved +
           repeated(kBlock, 2) + " global_avg_pool2d linear"},
      {"mobilenet",
       "mobilenet",
       {},
       {{3, 32, 32}, 10},
       (27 * 32 + 64) + separable(32, 64) + separable(64, 128) + separable(128, 128) +
           separable(128, 256) + separable(256, 256) + separable(256, 512) + separable(512, 512) +
           (512 * 10 + 10),
       "conv2d batch_norm relu" + repeated(kSeparable, 7) + " global_avg_pool2d linear"},
      {"mobilenet_small",
       "mobilenet",
       with({{"width", 2}, {"dropout", 0.1}}),
       {{3, 16, 12}, 2},
       (27 * 2 + 4) + separable(2, 4) + separable(4, 8) + separable(8, 8) + separable(8, 16) +
           separable(16, 16) + separable(16, 32) + separable(32, 32) + (32 * 2 + 2),
       "conv2d batch_norm relu" + repeated(kSeparable, 7) + " global_avg_pool2d dropout linear"},
      // Channels 2, 4, 8, extents 6x5, 3x3, 2x2.
      {"resnet_small",
       "resnet",
       with({{"depth", 8}, {"width", 2}}),
       {kSmall, 2},
       (3 * 9 * 2 + 4) + 2 * (2 * 9 * 2 + 4) + (2 * 9 * 4 + 8) + (4 * 9 * 4 + 8) +
           (4 * 9 * 8 + 16) + (8 * 9 * 8 + 16) + (8 * 2 + 2),
       "conv2d batch_norm relu" + kBlock + kHalved + kHalved + " global_avg_pool2d linear"},
      // Of a layer: gates times units, times inputs, units and two biases.
      {"char_rnn",
       "char_rnn",
       with({{"embedding", 3}, {"units", 4}}),
       {.sample = {5}, .outputs = 7, .vocabulary = 7},
       7 * 3 + 4 * 4 * (3 + 4 + 2) + 4 * 4 * (4 + 4 + 2) + (4 * 7 + 7),
       "embedding lstm linear",
       true},
      {"char_rnn_tied",
       "char_rnn",
       with({{"cell", "gru"},
             {"embedding", 4},
             {"units", 4},
             {"layers", 1},
             {"tied", true},
             {"dropout", 0.1},
             {"padding", 0},
             {"truncate", 2}}),
       {.sample = {5}, .outputs = 7, .vocabulary = 7},
       7 * 4 + 3 * 4 * (4 + 4 + 2) + 7,
       "char_rnn embedding gru dropout",
       true},
      {"char_rnn_of_numbers",
       "char_rnn",
       with({{"cell", "rnn"},
             {"units", 4},
             {"layers", 1},
             {"bidirectional", true},
             {"return", "last"}}),
       {.sample = {5, 2}, .outputs = 3},
       2 * 4 * (2 + 4 + 2) + (8 * 3 + 3),
       "rnn linear"},
  };
  return rows;
}

class PresetTest : public testing::TestWithParam<PresetCase> {
 protected:
  static constexpr std::int64_t kRows = 4;
  Layer model() const {
    const auto& entry = presets().at(GetParam().preset);
    return entry.make(resolve(entry.options, GetParam().options, "[model]"), GetParam().problem);
  }
  Shape batch() const {
    Shape shape{kRows};
    for (const auto extent : GetParam().problem.sample) shape.push_back(extent);
    return shape;
  }
  bool of_tokens() const { return GetParam().problem.vocabulary > 0; }
  Type batch_type(DType dtype) const { return {of_tokens() ? DType::int64 : dtype, batch(), true}; }
  Array input() const {
    return of_tokens() ? tokens(batch(), GetParam().problem.vocabulary, "input")
                       : numbers(batch(), "input");
  }
};

TEST_P(PresetTest, HasItsLayersOutputsAndParameters) {
  const auto rows = summarize(model(), batch_type(DType::float32));
  std::int64_t parameters = 0;
  std::string kinds;
  for (const auto& row : rows) {
    parameters += row.parameters;
    kinds += (kinds.empty() ? "" : " ") + row.description.substr(0, row.description.find('('));
  }
  EXPECT_EQ(kinds, GetParam().layers);
  EXPECT_EQ(parameters, GetParam().parameters);
  // A model that has parameters of its own has a row, the first.
  const auto& outermost = rows.front().name.empty() ? rows.front() : rows.back();
  if (GetParam().name != "gpt") {  // whose last product is with the embedding
    EXPECT_EQ(outermost.output, GetParam().output());
  }
}

// A step against the gradient of a loss lowers it, and no parameter is left without a gradient (of
// more than rounding: a bias before batch normalisation would have 1e-17).
TEST_P(PresetTest, EveryParameterLearns) {
  const auto net = model();
  const auto variables = descent::nn::describe(net, batch_type(DType::float64), DType::float64);
  auto tree = initialize(variables, 3);
  // Not where training starts: with shifts of zero, the scale before a depthwise convolution is
  // divided out again by the normalisation after it.
  for (auto& [name, array] : tree) {
    if (array.shape().rank() == 1) array = moved({array}, 0.1, {numbers(array.shape(), name)})[0];
  }
  const EagerScope eager({.shards = 2});
  const Value x = leaf(input(), true, 2);
  const auto outputs = GetParam().problem.outputs;
  const auto predictions = kRows * GetParam().output().size() / outputs;
  const Value y = leaf(labels(predictions, outputs, "target"), true, 2);

  Values parameters;
  for (std::size_t i = 0; i < tree.size(); ++i) {
    if (variables[i].trained) parameters.push_back(leaf(tree[i].second, false, 2));
  }
  const ScalarFn loss = [&](ValueSpan values) {
    std::map<std::string, Value> bound;
    std::size_t next = 0;
    for (std::size_t i = 0; i < tree.size(); ++i) {
      bound[tree[i].first] = variables[i].trained ? values[next++] : leaf(tree[i].second, false, 2);
    }
    Scope scope(std::move(bound), true, scalar(1, DType::int64), DType::float64);
    return cross_entropy()(reshape((*net)(scope, x), {-1, outputs}), y);
  };
  const auto both = value_and_grad(loss)(parameters);
  Values after;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_GT(largest(both[i + 1].array()), 1e-6) << i;
    after.push_back(parameters[i] - both[i + 1] * 1e-3);
  }
  EXPECT_LT(loss(after).item(), both[0].item());
}

INSTANTIATE_TEST_SUITE_P(Rows, PresetTest, testing::ValuesIn(preset_cases()),
                         case_name<PresetCase>);

TEST(PresetTable, HasARowForEveryRegisteredPreset) {
  std::set<std::string> rows;
  for (const auto& c : preset_cases()) rows.insert(c.preset);
  EXPECT_THAT(presets().names(), testing::ElementsAreArray(rows));
}

TEST(PresetTable, RefusesWhatDoesNotFit) {
  const auto made = [](const std::string& name, const Shape& sample) {
    const auto& entry = presets().at(name);
    return entry.make(resolve(entry.options, {}, name), {sample, 2});
  };
  EXPECT_THROW(made("cnn", kRow), Error);
  EXPECT_THROW(made("lenet", kSmall), Error);
  EXPECT_THROW(made("resnet", kRow), Error);
  EXPECT_THROW(made("mobilenet", kRow), Error);
  EXPECT_THROW(made("gpt", kText), Error);  // rows of numbers
  EXPECT_THROW(made("text_classifier", kText), Error);
  EXPECT_THROW(made("char_rnn", kRow), Error);
  EXPECT_THROW(presets().at("mpl"), Error);
}

// ---- against PyTorch ----

struct GoldenPreset {
  std::string preset;
  Options options;
  Shape sample;
};

std::vector<GoldenPreset> golden_presets() {
  return {{"resnet", with({{"depth", 8}, {"width", 2}}), {3, 8, 8}},
          {"mobilenet", with({{"width", 2}}), {3, 16, 16}},
          {"lenet", with({{"activation", "relu"}, {"pool", "max"}}), {3, 32, 32}}};
}

// A whole net: outputs, and the slope along one direction for each parameter in order. Both round
// to 1.1e-16; normalisation over a few values and some ten layers of sums leave 1e-10 of it.
TEST(Presets, GivePyTorchsNumbers) {
  const auto cases = golden("presets.json");
  ASSERT_EQ(cases.size(), golden_presets().size());
  for (const auto& [name, options, sample] : golden_presets()) {
    SCOPED_TRACE(name);
    const auto& entry = presets().at(name);
    const auto net = entry.make(resolve(entry.options, options, name), {sample, 3});
    Shape batch{4};
    for (const auto extent : sample) batch.push_back(extent);

    const auto variables = descent::nn::describe(net, {DType::float64, batch, true});
    const EagerScope eager({.shards = 1});
    std::map<std::string, Value> bound;
    Values parameters;
    for (const auto& v : variables) {
      const auto array =
          v.trained ? numbers(v.type.shape, "parameter " + std::to_string(parameters.size()))
                    : v.init(DType::float64, v.type.shape, 0);
      bound[v.name] = leaf(array, false, 1);
      if (v.trained) parameters.push_back(bound[v.name]);
    }
    Scope scope(bound, true, {}, DType::float64);
    const Value y = (*net)(scope, leaf(numbers(batch, "input"), true, 1));
    expect_close(whole(y, 1), array_of(cases.at(name).at("output")), 1e-10, "output");

    const Value cotangent = leaf(numbers(y.shape(), "cotangent"), true, 1);
    const auto slopes = cases.at(name).at("slopes").get<std::vector<double>>();
    ASSERT_EQ(slopes.size(), parameters.size());
    const auto found =
        gradients(Values{batch_sum(cotangent * y)}, parameters, Values{scalar(1, DType::float64)});
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      const auto direction = numbers(parameters[i].shape(), "direction " + std::to_string(i));
      const auto size = largest(found[i].array());
      EXPECT_NEAR(inner({found[i].array()}, {direction}), slopes[i], 1e-10 * (size + 1)) << i;
    }
  }
}

// The order and shapes in which other implementations list the parameters of a ResNet-20.
TEST(Resnet, ListsParametersBlockByBlock) {
  const auto& entry = presets().at("resnet");
  const auto model = entry.make(resolve(entry.options, {}, "resnet"), {{3, 32, 32}, 10});
  std::vector<std::string> names;
  for (const auto& v : descent::nn::describe(model, {DType::float32, {1, 3, 32, 32}, true})) {
    if (v.trained) names.push_back(v.name);
  }
  ASSERT_EQ(names.size(), 3u + 9 * 6 + 2);
  names.resize(9);
  EXPECT_THAT(names, testing::ElementsAre("0.weight", "1.weight", "1.bias", "3.body.0.weight",
                                          "3.body.1.weight", "3.body.1.bias", "3.body.3.weight",
                                          "3.body.4.weight", "3.body.4.bias"));
}

TEST(Resnet, SaysWhichDepthsThereAre) {
  const auto& entry = presets().at("resnet");
  try {
    entry.make(resolve(entry.options, with({{"depth", 18}}), "resnet"), {{3, 32, 32}, 10});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("use 14 or 20"));
  }
}

}  // namespace
}  // namespace descent::nn::test
