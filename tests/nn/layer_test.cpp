// Every row of layer_rows.h through the same checks: PyTorch's numbers, derivatives of first and
// second order in both modes, shards, training and evaluation.
#include <gmock/gmock.h>

#include <set>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "tests/nn/layer_rows.h"

namespace descent::nn::test {
namespace {

// A layer with its parameters, buffers and a batch, ready to be computed.
class Bound {
 public:
  Bound(const LayerCase& c, DType dtype, int shards) : case_(c), dtype_(dtype), shards_(shards) {
    const auto& entry = layers().at(c.layer);
    layer_ = entry.make(resolve(entry.options, c.options, c.name));
    if (c.vocabulary > 0) {
      tokens_ = tokens(c.input, c.vocabulary, "input");
    } else {
      names_ = {"input"};
      arguments_ = {numbers(c.input, "input", dtype)};
    }
    const auto type = c.vocabulary > 0 ? DType::int64 : dtype;
    for (const auto& v : descent::nn::describe(layer_, {type, c.input, true}, dtype)) {
      if (v.trained) {
        names_.push_back(v.name);
        arguments_.push_back(numbers(v.type.shape, v.name, dtype));
      } else {
        buffers_[v.name] = c.training ? v.init(dtype, v.type.shape, 0) : kept(v);
      }
    }
  }

  // The output; new values of the buffers into `updated`.
  Value output(ValueSpan arguments, std::map<std::string, Value>* updated = nullptr) const {
    std::map<std::string, Value> bound;
    for (const auto& [name, array] : buffers_) bound[name] = leaf(array, false, 1);
    const bool of_tokens = case_.vocabulary > 0;
    for (std::size_t i = of_tokens ? 0 : 1; i < names_.size(); ++i) bound[names_[i]] = arguments[i];
    Scope scope(std::move(bound), case_.training, scalar(17, DType::int64), dtype_);
    const Value y = (*layer_)(scope, of_tokens ? leaf(tokens_, true, shards_) : arguments[0]);
    if (updated != nullptr) *updated = scope.updated();
    return y;
  }

  // sum(cotangent * output), or of the sine of the output where second derivatives are wanted.
  Function function(bool curved) const {
    Function f{.shards = shards_, .names = names_, .arguments = arguments_};
    f.batch.assign(names_.size(), false);
    if (case_.vocabulary == 0) f.batch[0] = true;
    f.objective = [*this, curved](ValueSpan arguments) {
      const Value y = output(arguments);
      Shape all = y.shape();
      all[0] *= shards_;
      const Value cotangent = leaf(numbers(all, "cotangent", dtype_), true, shards_);
      return batch_sum(cotangent * (curved ? sin(y) : y));
    };
    return f;
  }

  struct Result {
    Array output;
    std::vector<Array> gradients;
    std::map<std::string, Array> buffers;
  };
  Result run() const {
    Result result;
    {
      const EagerScope eager({.shards = shards_});
      std::map<std::string, Value> updated;
      result.output = whole(output(function(false).leaves(arguments_), &updated), shards_);
      for (const auto& [name, value] : updated) result.buffers[name] = value.array();
    }
    result.gradients = gradient(function(false), arguments_);
    return result;
  }

  const std::vector<std::string>& names() const { return names_; }

 private:
  // Running statistics as the golden script sets them for evaluation.
  Array kept(const Variable& v) const {
    const auto array = numbers(v.type.shape, v.name, dtype_);
    if (v.name != "running_var") return array;
    return mapped(array, [](double x) { return std::abs(x) + 0.5; });
  }

  LayerCase case_;
  DType dtype_;
  int shards_;
  Layer layer_;
  Array tokens_;                    // the input, where it is no argument to differentiate by
  std::vector<std::string> names_;  // of the arguments: input and parameters
  std::vector<Array> arguments_;
  std::map<std::string, Array> buffers_;
};

class LayerTest : public testing::TestWithParam<LayerCase> {
 protected:
  void expect_golden(DType dtype, double tolerance) const {
    const auto cases = golden("layers.json");
    ASSERT_EQ(cases.contains(GetParam().name), GetParam().golden);
    if (!GetParam().golden) return;
    const auto& expected = cases.at(GetParam().name);
    const Bound bound(GetParam(), dtype, 1);
    const auto got = bound.run();
    expect_close(got.output, array_of(expected.at("output")), tolerance, "output");
    ASSERT_EQ(bound.names().size(), expected.at("gradients").size());
    for (std::size_t i = 0; i < bound.names().size(); ++i) {
      expect_close(got.gradients[i], array_of(expected.at("gradients").at(bound.names()[i])),
                   tolerance, "gradient of " + bound.names()[i]);
    }
    ASSERT_EQ(got.buffers.size(), expected.at("buffers").size());
    for (const auto& [name, array] : got.buffers) {
      expect_close(array, array_of(expected.at("buffers").at(name)), tolerance, name);
    }
  }
};

// Both round each operation to 1.1e-16 and sum up to a hundred terms in their own order.
TEST_P(LayerTest, GivesPyTorchsNumbersInFloat64) { expect_golden(DType::float64, 1e-12); }
// The same in float32, 6e-8, against the numbers of float64.
TEST_P(LayerTest, GivesPyTorchsNumbersInFloat32) { expect_golden(DType::float32, 1e-5); }

TEST_P(LayerTest, ReverseModeMatchesDifferences) {
  check_reverse_mode(Bound(GetParam(), DType::float64, 1).function(true));
}
TEST_P(LayerTest, ForwardModeMatchesReverseMode) {
  check_forward_mode(Bound(GetParam(), DType::float64, 1).function(true));
}
TEST_P(LayerTest, SecondOrderMatchesDifferences) {
  check_second_order(Bound(GetParam(), DType::float64, 1).function(true));
}
TEST_P(LayerTest, DerivativesHoldOnSeveralShards) {
  const Bound bound(GetParam(), DType::float64, 2);
  check_reverse_mode(bound.function(true));
  check_forward_mode(bound.function(true));
  check_second_order(bound.function(true));
}

// Cut or whole, the same products are summed, in another order: rounding of a hundred terms.
TEST_P(LayerTest, FourShardsEqualOne) {
  const Bound bound(GetParam(), DType::float64, 1);
  const auto one = bound.run(), four = Bound(GetParam(), DType::float64, 4).run();
  expect_close(four.output, one.output, 1e-13, "output");
  for (std::size_t i = 0; i < bound.names().size(); ++i) {
    expect_close(four.gradients[i], one.gradients[i], 1e-13, "gradient of " + bound.names()[i]);
  }
  EXPECT_EQ(four.buffers.size(), one.buffers.size());
  for (const auto& [name, array] : four.buffers) {
    expect_close(array, one.buffers.at(name), 1e-13, name);
  }
}

TEST_P(LayerTest, TrainingAndEvaluationDifferOnlyWhereTheRowSaysSo) {
  auto other = GetParam();
  other.training = !other.training;
  const auto a = Bound(GetParam(), DType::float64, 1).run();
  const auto b = Bound(other, DType::float64, 1).run();
  EXPECT_EQ(identical(a.output, b.output), !GetParam().by_mode);
}

INSTANTIATE_TEST_SUITE_P(Rows, LayerTest, testing::ValuesIn(layer_cases()), case_name<LayerCase>);

TEST(LayerTable, HasARowForEveryRegisteredLayer) {
  std::set<std::string> rows;
  for (const auto& c : layer_cases()) rows.insert(c.layer);
  EXPECT_THAT(layers().names(), testing::ElementsAreArray(rows));
}

TEST(LayerTable, UsesEveryGoldenCase) {
  std::set<std::string> cases;
  for (const auto& c : layer_cases()) {
    if (c.golden) cases.insert(c.name);
  }
  EXPECT_THAT(golden_cases("layers.json"), testing::ElementsAreArray(cases));
}

TEST(LayerTable, EveryOptionIsDescribed) {
  for (const auto& [name, entry] : layers().entries()) {
    EXPECT_FALSE(entry.help.empty()) << name;
    for (const auto& option : entry.options) EXPECT_FALSE(option.help.empty()) << option.key;
  }
}

}  // namespace
}  // namespace descent::nn::test
