// Every row of loss_rows.h through the same checks, then what weights and edge cases must give.
#include <gmock/gmock.h>

#include <limits>
#include <set>

#include "descent/nn/registry.h"
#include "tests/nn/loss_rows.h"

namespace descent::nn::test {
namespace {

// A loss with predictions, targets and weights of a whole batch.
struct Batch {
  Loss loss;
  Array prediction, target, weight;  // weight: none where empty

  Function function(int shards) const {
    Function f{
        .shards = shards, .names = {"prediction"}, .arguments = {prediction}, .batch = {true}};
    f.objective = [*this, shards](ValueSpan x) {
      return loss(x[0], leaf(target, true, shards), weight ? leaf(weight, true, shards) : Value());
    };
    return f;
  }
  double value(int shards = 1) const { return test::value(function(shards), {prediction}); }
  Array gradient(int shards = 1) const { return test::gradient(function(shards), {prediction})[0]; }
};

Loss made(const std::string& name, const Options& options) {
  const auto& entry = losses().at(name);
  return entry.make(resolve(entry.options, options, name));
}

Array target_of(const LossCase& c, DType dtype) {
  if (c.targets == Targets::labels) {
    if (c.prediction.rank() < 3) return labels(c.prediction[0], c.classes, "target");
    return labels(c.prediction[0] * c.prediction[1], c.classes, "target")
        .reshaped({c.prediction[0], c.prediction[1]});
  }
  const auto array = numbers(c.prediction, "target", dtype);
  if (c.targets == Targets::numbers) return array;
  return mapped(array, [](double x) { return (x + 2) / 4; });
}

Array weights_of(std::int64_t rows, DType dtype) {
  return mapped(numbers({rows}, "weight", dtype), [](double x) { return std::abs(x); });
}

Batch batch_of(const LossCase& c, DType dtype) {
  return {made(c.loss, c.options), numbers(c.prediction, "prediction", dtype), target_of(c, dtype),
          c.weighted ? weights_of(c.prediction[0], dtype) : Array()};
}

class LossTest : public testing::TestWithParam<LossCase> {
 protected:
  void expect_golden(DType dtype, double tolerance) const {
    const auto expected = golden("losses.json").at(GetParam().name);
    const auto batch = batch_of(GetParam(), dtype);
    expect_close(Array::scalar(batch.value()), array_of(expected.at("output")), tolerance, "loss");
    expect_close(batch.gradient(), array_of(expected.at("gradients").at("prediction")), tolerance,
                 "gradient");
  }
  Function function(int shards) const {
    return batch_of(GetParam(), DType::float64).function(shards);
  }
};

// Both round each operation to 1.1e-16 and sum some ten terms in their own order.
TEST_P(LossTest, GivesPyTorchsNumbersInFloat64) { expect_golden(DType::float64, 1e-13); }
// The same in float32, 6e-8, against the numbers of float64.
TEST_P(LossTest, GivesPyTorchsNumbersInFloat32) { expect_golden(DType::float32, 2e-6); }

TEST_P(LossTest, ReverseModeMatchesDifferences) { check_reverse_mode(function(1)); }
TEST_P(LossTest, ForwardModeMatchesReverseMode) { check_forward_mode(function(1)); }
TEST_P(LossTest, SecondOrderMatchesDifferences) {
  if (!GetParam().linear) {
    check_second_order(function(1));
    return;
  }
  const auto f = function(1);
  const EagerScope eager;
  EXPECT_EQ(largest(hvp(f.objective, f.leaves(f.arguments), f.leaves(direction(f)))[0].array()), 0);
}
TEST_P(LossTest, DerivativesHoldOnSeveralShards) {
  check_reverse_mode(function(2));
  check_forward_mode(function(2));
}

// The same eight rows are summed in another order; with weights, shards of unequal total weight.
TEST_P(LossTest, FourShardsEqualOne) {
  const auto batch = batch_of(GetParam(), DType::float64);
  EXPECT_NEAR(batch.value(4) / batch.value(1), 1, 1e-14);
  expect_close(batch.gradient(4), batch.gradient(1), 1e-14, "gradient");
}

Array taken(const Array& x, const std::vector<std::int64_t>& rows) {
  Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(rows.size());
  Array out(x.dtype(), shape);
  const auto row = x.size() / x.shape()[0];
  for (std::int64_t i = 0; i < out.size(); ++i) {
    out.set_item(i, x.item(rows[static_cast<std::size_t>(i / row)] * row + i % row));
  }
  return out;
}

// A row of weight zero, wherever it lies, counts as if it were not there; its gradient is zero.
// (The sum of fewer rows may round differently.)
TEST_P(LossTest, RowsOfWeightZeroAreLeftOut) {
  auto batch = batch_of(GetParam(), DType::float64);
  const std::vector<std::int64_t> kept{0, 2, 3, 6};
  batch.weight = weights_of(8, DType::float64);
  for (const auto row : {1, 4, 5, 7}) batch.weight.set_item(row, 0);
  auto rest = batch;
  rest.prediction = taken(batch.prediction, kept);
  rest.target = taken(batch.target, kept);
  rest.weight = taken(batch.weight, kept);
  for (const int shards : {1, 4}) {
    EXPECT_NEAR(batch.value(shards) / rest.value(), 1, 1e-14);
    const auto gradient = batch.gradient(shards);
    expect_close(taken(gradient, kept), rest.gradient(), 1e-14, "gradient");
    EXPECT_EQ(largest(taken(gradient, {1, 4, 5, 7})), 0);
  }
}

// A constant weight changes nothing: a mean, not a sum.
TEST_P(LossTest, EqualWeightsGiveTheMean) {
  auto batch = batch_of(GetParam(), DType::float64);
  batch.weight = Array();
  const double mean = batch.value();
  batch.weight = mapped(weights_of(8, DType::float64), [](double) { return 0.3; });
  EXPECT_NEAR(batch.value() / mean, 1, 1e-14);
}

TEST_P(LossTest, AllWeightsZeroGiveZero) {
  auto batch = batch_of(GetParam(), DType::float64);
  batch.weight = Array(DType::float64, {8});
  EXPECT_EQ(batch.value(), 0);
  EXPECT_EQ(largest(batch.gradient()), 0);
}

TEST_P(LossTest, ShapesThatDoNotFitAreNamed) {
  auto batch = batch_of(GetParam(), DType::float64);
  batch.target = taken(batch.target, {0, 1, 2, 3, 4});
  try {
    batch.value();
    FAIL() << "five targets for eight rows were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.where(), "loss " + GetParam().loss);
    EXPECT_THAT(error.message(),
                testing::HasSubstr("prediction float64" + to_string(GetParam().prediction)));
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, LossTest, testing::ValuesIn(loss_cases()), case_name<LossCase>);

TEST(LossTable, HasARowForEveryRegisteredLoss) {
  std::set<std::string> rows;
  for (const auto& c : loss_cases()) rows.insert(c.loss);
  EXPECT_THAT(losses().names(), testing::ElementsAreArray(rows));
  for (const auto& name : losses().names()) EXPECT_EQ(made(name, {}).name, name);
}

TEST(LossTable, UsesEveryGoldenCase) {
  std::set<std::string> cases;
  for (const auto& c : loss_cases()) cases.insert(c.name);
  EXPECT_THAT(golden_cases("losses.json"), testing::ElementsAreArray(cases));
}

// ---- weights over uneven shards ----

// Means of shards differ from the mean of the batch where their weights do: 1 row of 4 in the first
// shard, all of the second.
TEST(Losses, WeightTheBatchNotTheShard) {
  Batch batch{mse(), Array::from<double>({1, 2, 3, 4, 5, 6, 7, 8}, {8, 1}),
              Array(DType::float64, {8, 1}), Array::from<double>({1, 0, 0, 0, 1, 1, 1, 1}, {8})};
  // (1 + 25 + 36 + 49 + 64) / 5; the mean of the shards' means would be 22.25.
  EXPECT_DOUBLE_EQ(batch.value(2), 35);
  EXPECT_DOUBLE_EQ(batch.value(1), 35);
}

// ---- extreme numbers ----

TEST(Losses, StayFiniteForHugeLogits) {
  for (const double huge : {1e4, 1e30}) {
    const Array target = Array::from<std::int64_t>({0, 1}, {2});
    const Batch several{
        cross_entropy(),
        Array::from<float>({float(huge), float(-huge), float(huge), float(-huge)}, {2, 2}),
        target,
        {}};
    EXPECT_FLOAT_EQ(several.value(), float(huge));  // (0 + 2 huge) / 2
    EXPECT_EQ(several.gradient().to_vector(), (std::vector<double>{0, 0, 0.5, -0.5}));
    const Batch single{binary_cross_entropy(),
                       Array::from<float>({float(huge), float(-huge)}, {2, 1}),
                       target,
                       {}};
    EXPECT_FLOAT_EQ(single.value(), float(huge));
    EXPECT_EQ(single.gradient().to_vector(), (std::vector<double>{0.5, -0.5}));
  }
}

// Masked classes have logits of minus infinity: no part in the loss, and no NaN.
TEST(Losses, CrossEntropyTakesMaskedClasses) {
  const double none = -std::numeric_limits<double>::infinity();
  const Batch batch{cross_entropy(),
                    Array::from<double>({0, none, 0}, {1, 3}),
                    Array::from<std::int64_t>({2}, {1}),
                    {}};
  const auto f = batch.function(1);
  const EagerScope eager({.check_finite = false});
  const auto both = value_and_grad(f.objective)(f.leaves(f.arguments));
  EXPECT_DOUBLE_EQ(both[0].item(), std::log(2));
  EXPECT_EQ(both[1].array().to_vector(), (std::vector<double>{0.5, 0, -0.5}));
}

// A probability of 1 at the label is the label: value and gradient.
TEST(Losses, CrossEntropyOfCertaintyIsThatOfTheLabel) {
  const auto target = labels(8, 4, "target");
  Array hot(DType::float64, {8, 4});
  for (std::int64_t i = 0; i < 8; ++i) {
    hot.set_item(4 * i + static_cast<std::int64_t>(target.item(i)), 1);
  }
  for (const double smoothing : {0.0, 0.1}) {
    const auto loss = cross_entropy({.label_smoothing = smoothing});
    const Batch label{loss, numbers({8, 4}, "prediction"), target, {}};
    Batch certain = label;
    certain.target = hot;
    EXPECT_NEAR(certain.value() / label.value(), 1, 1e-14);
    expect_close(certain.gradient(), label.gradient(), 1e-14, "gradient");
  }
  // Single precision targets for predictions in double are converted.
  Batch narrow{cross_entropy(), numbers({8, 4}, "prediction"), hot.cast(DType::float32), {}};
  EXPECT_GT(narrow.value(), 0);
}

// A class of weight zero is left out, also of the smoothing.
TEST(Losses, ClassWeightZeroLeavesItsRowsOut) {
  const auto loss = cross_entropy({.label_smoothing = 0.1, .class_weights = {1, 0, 2}});
  const auto scores = numbers({4, 3}, "prediction");
  const Batch all{loss, scores, Array::from<std::int64_t>({0, 1, 2, 1}, {4}), {}};
  const Batch some{loss, taken(scores, {0, 2}), Array::from<std::int64_t>({0, 2}, {2}), {}};
  EXPECT_NEAR(all.value(), some.value(), 1e-15);
  EXPECT_GT(all.value(), 0.1);
}

TEST(Losses, KinksHaveDerivativeZero) {
  const Array zero(DType::float64, {2, 1});
  EXPECT_EQ(largest(Batch{mae(), zero, zero, {}}.gradient()), 0);
  EXPECT_EQ(largest(Batch{huber(), zero, zero, {}}.gradient()), 0);
}

TEST(Losses, HingeTakesSignsAndLabels) {
  const auto scores = numbers({8, 1}, "prediction");
  const auto target = labels(8, 2, "target");
  const auto signs = mapped(target, [](double t) { return t > 0 ? 1 : -1; });
  EXPECT_EQ((Batch{hinge(), scores, signs, {}}).value(),
            (Batch{hinge(), scores, target, {}}).value());
}

// ---- errors ----

testing::AssertionResult fails_with(const Batch& batch, const std::string& part) {
  try {
    batch.value();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << text;
  }
  return testing::AssertionFailure() << "no error";
}

TEST(Losses, RefuseWhatBroadcastingWouldAccept) {
  const Array column(DType::float64, {4, 1}), flat(DType::float64, {4});
  EXPECT_TRUE(fails_with({mse(), column, flat, {}}, "[4, 1]"));
  EXPECT_TRUE(fails_with({mse(), column, column, column}, "one weight a row"));
  const Array label(DType::int64, {4});
  EXPECT_TRUE(fails_with({cross_entropy(), column, label, {}}, "one output a class"));
  const auto weighted = cross_entropy({.class_weights = {1, 2}});
  EXPECT_TRUE(fails_with({weighted, Array(DType::float64, {4, 3}), label, {}},
                         "2 class weights for 3 classes"));
}

TEST(Losses, RefuseLabelsOutOfRange) {
  const auto label = Array::from<std::int64_t>({0, 2}, {2});
  EXPECT_TRUE(fails_with({cross_entropy(), Array(DType::float64, {2, 2}), label, {}}, "index 2"));
  EXPECT_TRUE(
      fails_with({binary_cross_entropy(), Array(DType::float64, {2, 1}), label, {}}, "index 2"));
}

TEST(Losses, RefuseOptionsWithoutMeaning) {
  EXPECT_THROW(huber(0), Error);
  EXPECT_THROW(cross_entropy({.label_smoothing = 1.5}), Error);
  EXPECT_THROW(cross_entropy({.class_weights = {1, -1}}), Error);
  EXPECT_THROW(losses().at("crossentropy"), Error);
}

}  // namespace
}  // namespace descent::nn::test
