// Decoding token by token gives what the whole sequence gives at once.
#include "descent/nn/decode.h"

#include <gmock/gmock.h>

#include "descent/compile/plan.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "tests/nn/harness.h"
#include "tests/support/allocations.h"

namespace descent::nn::test {
namespace {

constexpr std::int64_t kVocabulary = 11, kContext = 9, kRows = 2;

Layer gpt(const Options& options) {
  const auto& entry = presets().at("gpt");
  return entry.make(resolve(entry.options, options, "gpt"), {{kContext}, kVocabulary, kVocabulary});
}

// A model with parameters, as one step of decoding and as a function of whole sequences.
class Bound {
 public:
  Bound(const Layer& model, DType dtype) : model_(model), dtype_(dtype) {
    const auto decoder = nn::decoder(model, {.rows = kRows, .context = kContext, .dtype = dtype});
    std::vector<PlanInput> inputs;
    for (const auto& [name, value] : initialize(decoder.variables, 5)) {
      // Larger than at the start of training, so that attention attends.
      bound_[name] = mapped(value, [](double x) { return 20 * x + 0.01; });
      inputs.push_back({{dtype, value.shape()}, name, bound_.at(name)});
    }
    for (const auto& v : decoder.caches) inputs.push_back({v.type, v.name, {}});
    position_ = static_cast<int>(inputs.size());
    inputs.push_back({{DType::int64, {}}, "position", {}});
    inputs.push_back({{DType::int64, {kRows}}, "tokens", {}});
    step_ = compile(decoder.step, inputs, {.donate = decoder.donate(), .verify = true});
  }

  // Logits [rows, T, vocabulary], one token after the other.
  Array decoded(const Array& tokens) {
    const auto time = tokens.shape()[1];
    Array all(dtype_, {kRows, time, kVocabulary});
    for (std::int64_t t = 0; t < time; ++t) {
      Array(step_.input(position_)).set_item(0, static_cast<double>(t));
      Array now = step_.input(position_ + 1);
      for (std::int64_t n = 0; n < kRows; ++n) now.set_item(n, tokens.item(n * time + t));
      step_.run();
      for (std::int64_t n = 0; n < kRows; ++n) {
        for (std::int64_t i = 0; i < kVocabulary; ++i) {
          all.set_item((n * time + t) * kVocabulary + i, step_.output(0).item(n * kVocabulary + i));
        }
      }
    }
    return all;
  }
  Array at_once(const Array& tokens) const {
    const EagerScope eager({.shards = 1});
    std::map<std::string, Value> bound;
    for (const auto& [name, array] : bound_) bound[name] = leaf(array, false, 1);
    Scope scope(std::move(bound), false, {}, dtype_);
    return whole((*model_)(scope, leaf(tokens, true, 1)), 1);
  }
  Plan& step() { return step_; }

 private:
  Layer model_;
  DType dtype_;
  std::map<std::string, Array> bound_;
  Plan step_;
  int position_ = 0;
};

struct DecodeCase {
  std::string name;
  Options options;
};
void PrintTo(const DecodeCase& c, std::ostream* out) { *out << c.name; }

class DecodeTest : public testing::TestWithParam<DecodeCase> {};

// The same products, summed in another order.
TEST_P(DecodeTest, EqualsTheWholeSequence) {
  const auto sequence = tokens({kRows, kContext}, kVocabulary, "tokens");
  for (const auto& [dtype, tolerance] :
       {std::pair{DType::float64, 1e-12}, std::pair{DType::float32, 1e-4}}) {
    Bound bound(gpt(GetParam().options), dtype);
    const auto want = bound.at_once(sequence);
    ASSERT_GT(largest(want), 0.1);
    expect_close(bound.decoded(sequence), want, tolerance, "logits");
    // A second sequence in the same caches, which still hold the first.
    const auto other = tokens({kRows, 5}, kVocabulary, "other tokens");
    expect_close(bound.decoded(other), bound.at_once(other), tolerance, "logits");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, DecodeTest,
    testing::Values(DecodeCase{"learned", with({{"layers", 2}, {"heads", 2}, {"width", 8}})},
                    DecodeCase{"sinusoidal", with({{"layers", 1},
                                                   {"heads", 2},
                                                   {"width", 8},
                                                   {"positions", "sinusoidal"},
                                                   {"bias", true}})},
                    DecodeCase{"rotary", with({{"layers", 2},
                                               {"heads", 1},
                                               {"width", 8},
                                               {"positions", "rotary"},
                                               {"norm", "rms"},
                                               {"mlp", "swiglu"},
                                               {"tied", false},
                                               {"dropout", 0.3}})}),
    case_name<DecodeCase>);

TEST(Decode, AllocatesNothing) {
  Bound bound(gpt(with({{"layers", 1}, {"heads", 2}, {"width", 8}})), DType::float32);
  bound.step().run();
  const long before = descent::test::allocations;
  bound.step().run();
  EXPECT_EQ(descent::test::allocations, before);
}

TEST(Decode, RefusesWhatReadsBothWays) {
  const auto model = sequential(embedding({.vocabulary = 5, .dim = 4}),
                                multi_head_attention({.heads = 2}), linear(5));
  try {
    decoder(model, {.context = 4});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("causal"));
  }
}

TEST(Decode, StopsAtTheEndOfTheContext) {
  Bound bound(gpt(with({{"layers", 1}, {"heads", 2}, {"width", 8}})), DType::float32);
  EXPECT_THROW(bound.decoded(tokens({kRows, kContext + 1}, kVocabulary, "tokens")), Error);
}

}  // namespace
}  // namespace descent::nn::test
