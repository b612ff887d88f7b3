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

const Shape kRow{13}, kImage{1, 28, 28}, kSmall{3, 6, 5};

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
  EXPECT_EQ(outermost.output, GetParam().output());
}

// A step against the gradient of a loss lowers it, and no parameter is left without a gradient (of
// more than rounding: a bias before batch normalisation would have 1e-17).
TEST_P(PresetTest, EveryParameterLearns) {
  const auto net = model();
  const auto variables = descent::nn::describe(net, batch_type(DType::float64), DType::float64);
  const auto tree = initialize(variables, 3);
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
  EXPECT_THROW(made("char_rnn", kRow), Error);
  EXPECT_THROW(presets().at("mpl"), Error);
}

}  // namespace
}  // namespace descent::nn::test
