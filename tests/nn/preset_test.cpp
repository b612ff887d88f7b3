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
};
void PrintTo(const PresetCase& c, std::ostream* out) { *out << c.name; }

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
       "embedding position_embedding layer_norm linear linear layer_norm linear linear layer_norm"},
      {"gpt_with_all",
       "gpt",
       with({{"layers", 1},
             {"heads", 2},
             {"width", 8},
             {"context", 9},
             {"dropout", 0.1},
             {"norm", "rms"},
             {"mlp", "swiglu"},
             {"positions", "rotary"},
             {"tied", false},
             {"bias", true}}),
       {kText, 11, 11},
       11 * 8 + (16 * 64 + (24 + 8 + 32 + 32 + 8)) + 2 * 8 + 8 + 11 * 8,
       "embedding dropout rms_norm linear linear dropout rms_norm linear linear linear dropout "
       "rms_norm linear"},
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
  // Numbers, or tokens where the problem has a vocabulary.
  Type batch_type(DType dtype) const {
    return {GetParam().problem.vocabulary > 0 ? DType::int64 : dtype, batch(), true};
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
  if (GetParam().preset != "gpt") {  // whose last product is with the embedding
    EXPECT_EQ(rows.back().output, Shape{GetParam().problem.outputs});
  }
}

// A step against the gradient of a loss lowers it, and no parameter is left without a gradient (of
// more than rounding: a bias before batch normalisation would have 1e-17).
TEST_P(PresetTest, EveryParameterLearns) {
  const auto net = model();
  const auto variables = descent::nn::describe(net, batch_type(DType::float64), DType::float64);
  const auto tree = initialize(variables, 3);
  const EagerScope eager({.shards = 2});
  const auto& problem = GetParam().problem;
  const Value x = leaf(problem.vocabulary > 0 ? tokens(batch(), problem.vocabulary, "input")
                                              : numbers(batch(), "input"),
                       true, 2);
  // A language model learns a label at each position.
  const bool language = GetParam().preset == "gpt";
  const Value y = leaf(language ? tokens(batch(), problem.outputs, "target")
                                : labels(kRows, problem.outputs, "target"),
                       true, 2);

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
    const Value outputs = (*net)(scope, x);
    return cross_entropy()(reshape(outputs, {-1, problem.outputs}), reshape(y, {-1}));
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
  EXPECT_THROW(made("gpt", kText), Error);  // rows of numbers
  EXPECT_THROW(made("text_classifier", kText), Error);
  EXPECT_THROW(presets().at("mpl"), Error);
}

}  // namespace
}  // namespace descent::nn::test
