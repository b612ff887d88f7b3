// Whole transformers: a compiled step on shards against the eager one, initial values, and that
// padding is not seen.
#include <gmock/gmock.h>

#include "descent/compile/plan.h"
#include "descent/nn/loss.h"
#include "descent/nn/registry.h"
#include "tests/nn/harness.h"

namespace descent::nn::test {
namespace {

constexpr std::int64_t kVocabulary = 11, kTime = 7;

Layer preset(const std::string& name, const Options& options, std::int64_t outputs) {
  const auto& entry = presets().at(name);
  return entry.make(resolve(entry.options, options, name), {{kTime}, outputs, kVocabulary});
}

Tree parameters(const Layer& model, DType dtype) {
  return initialize(describe(model, {DType::int64, {1, kTime}, true}, dtype), 3);
}

// Mean cross-entropy and its gradients, of parameters, tokens [rows, T] and next tokens.
Fn training_gradients(const Layer& model, const Tree& tree, DType dtype) {
  return [model, tree, dtype](ValueSpan in) {
    const auto tokens = in[tree.size()], next = in[tree.size() + 1];
    const ScalarFn loss = [&](ValueSpan values) {
      std::map<std::string, Value> bound;
      for (std::size_t i = 0; i < tree.size(); ++i) bound[tree[i].first] = values[i];
      Scope scope(std::move(bound), true, scalar(1, DType::int64), dtype);
      const Value logits = (*model)(scope, tokens);
      return cross_entropy()(reshape(logits, {-1, kVocabulary}), reshape(next, {-1}));
    };
    return value_and_grad(loss)(in.first(tree.size()));
  };
}

class Shards : public testing::TestWithParam<int> {};

// The same kernels on the same numbers: bit for bit, with dropout.
TEST_P(Shards, CompiledEqualsEager) {
  constexpr std::int64_t kRows = 4;
  const int shards = GetParam();
  const auto model = preset(
      "gpt", with({{"layers", 2}, {"heads", 2}, {"width", 20}, {"dropout", 0.2}}), kVocabulary);
  for (const DType dtype : {DType::float32, DType::float64}) {
    const auto tree = parameters(model, dtype);
    const auto step = training_gradients(model, tree, dtype);
    const auto now = tokens({kRows, kTime}, kVocabulary, "tokens"),
               next = tokens({kRows, kTime}, kVocabulary, "next");
    std::vector<PlanInput> inputs;
    for (const auto& [name, array] : tree) inputs.push_back({{dtype, array.shape()}, name, array});
    for (const auto& array : {now, next}) {
      inputs.push_back({{DType::int64, {kRows / shards, kTime}, true}, "tokens", array});
    }
    Plan plan = compile(step, inputs, {.shards = shards, .verify = true});
    plan.run();

    const EagerScope eager({.shards = shards});
    Values values;
    for (const auto& [name, array] : tree) values.push_back(leaf(array, false, shards));
    for (const auto& array : {now, next}) values.push_back(leaf(array, true, shards));
    const auto expected = step(values);
    ASSERT_GT(expected[0].item(), 1);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_TRUE(identical(plan.output(static_cast<int>(i)), expected[i].array())) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, Shards, testing::Values(1, 2, 4));

// Root mean square of 8,000 or more normal numbers: one per cent is 1.3 standard deviations of it.
TEST(Gpt, StartsAsGpt2) {
  const auto model = preset("gpt", with({{"layers", 2}, {"width", 64}, {"heads", 2}}), kVocabulary);
  for (const auto& [name, array] : parameters(model, DType::float64)) {
    double square = 0;
    for (const double x : array.to_vector()) square += x * x / static_cast<double>(array.size());
    const double expected = name.find("ln_") != std::string::npos      ? 1
                            : name.find("c_proj") != std::string::npos ? 0.02 / 2
                                                                       : 0.02;
    EXPECT_NEAR(std::sqrt(square) / expected, 1, 0.15) << name;
  }
}

// Whatever follows a text as padding, and whatever texts are beside it.
TEST(TextClassifier, DoesNotSeePadding) {
  const auto model = preset("text_classifier",
                            with({{"layers", 2}, {"heads", 2}, {"width", 8}, {"dropout", 0.0}}), 3);
  std::map<std::string, Array> tree;
  for (const auto& [name, value] : parameters(model, DType::float64)) {
    tree[name] = mapped(value, [](double x) { return 10 * x; });
  }
  const auto logits = [&](const std::vector<std::int64_t>& ids, std::int64_t rows) {
    const EagerScope eager({.shards = 1});
    std::map<std::string, Value> bound;
    for (const auto& [name, array] : tree) bound[name] = leaf(array, false, 1);
    Scope scope(std::move(bound), false, {}, DType::float64);
    const auto time = static_cast<std::int64_t>(ids.size()) / rows;
    return whole((*model)(scope, leaf(Array::from<std::int64_t>(ids, {rows, time}), true, 1)), 1);
  };
  const auto alone = logits({4, 2, 9}, 1), padded = logits({4, 2, 9, 0, 0, 4, 2, 9, 1, 3}, 2);
  ASSERT_GT(largest(alone), 1e-2);
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_NEAR(padded.item(i), alone.item(i), 1e-13);
  EXPECT_GT(std::abs(padded.item(3) - alone.item(0)), 1e-4);  // two tokens more
  // Nothing but padding: finite, whatever it means.
  EXPECT_LT(largest(logits({0, 0, 0}, 1)), 100);
}

}  // namespace
}  // namespace descent::nn::test
