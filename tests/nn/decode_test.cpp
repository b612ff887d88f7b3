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
    decoder_ = nn::decoder(model, {.rows = kRows, .context = kContext, .dtype = dtype});
    for (const auto& [name, value] : initialize(decoder_.variables, 5)) {
      // Larger than at the start of training, so that attention attends.
      bound_[name] = mapped(value, [](double x) { return 20 * x + 0.01; });
      inputs_.push_back({{dtype, value.shape()}, name, bound_.at(name)});
    }
    for (const auto& v : decoder_.caches)
      inputs_.push_back({v.type, v.name, Array(v.type.dtype, v.type.shape)});
    position_ = static_cast<int>(inputs_.size());
    step_ = plan_for({kRows});
  }

  // The first `begin` tokens at once, the others one after the other: logits of all tokens from
  // begin - 1 on.
  Array begun(const Array& tokens, std::int64_t begin) {
    for (int i = position_ - static_cast<int>(decoder_.caches.size()); i < position_; ++i) {
      Array cache = step_.input(i);
      for (std::int64_t k = 0; k < cache.size(); ++k) cache.set_item(k, 0);
    }
    const auto time = tokens.shape()[1];
    Plan first = plan_for({kRows, begin});
    Array(first.input(position_)).set_item(0, 0);
    Array given = first.input(position_ + 1);
    for (std::int64_t n = 0; n < kRows; ++n) {
      for (std::int64_t t = 0; t < begin; ++t)
        given.set_item(n * begin + t, tokens.item(n * time + t));
    }
    first.run();
    Array all(dtype_, {kRows, time - begin + 1, kVocabulary});
    put(all, 0, first.output(0));
    for (std::int64_t t = begin; t < time; ++t) put(all, t - begin + 1, next(tokens, t));
    return all;
  }

  // Logits [rows, T, vocabulary], one token after the other.
  Array decoded(const Array& tokens) {
    const auto time = tokens.shape()[1];
    Array all(dtype_, {kRows, time, kVocabulary});
    for (std::int64_t t = 0; t < time; ++t) put(all, t, next(tokens, t));
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
  Plan plan_for(const Shape& tokens) const {
    auto inputs = inputs_;
    inputs.push_back({{DType::int64, {}}, "position", {}});
    inputs.push_back({{DType::int64, tokens}, "tokens", {}});
    return compile(decoder_.step, inputs, {.donate = decoder_.donate(), .verify = true});
  }
  const Array& next(const Array& tokens, std::int64_t t) {
    Array(step_.input(position_)).set_item(0, static_cast<double>(t));
    Array now = step_.input(position_ + 1);
    for (std::int64_t n = 0; n < kRows; ++n)
      now.set_item(n, tokens.item(n * tokens.shape()[1] + t));
    step_.run();
    return step_.output(0);
  }
  // Logits [rows, vocabulary] to position t of [rows, T, vocabulary].
  static void put(Array& all, std::int64_t t, const Array& logits) {
    for (std::int64_t n = 0; n < kRows; ++n) {
      for (std::int64_t i = 0; i < kVocabulary; ++i) {
        all.set_item((n * all.shape()[1] + t) * kVocabulary + i, logits.item(n * kVocabulary + i));
      }
    }
  }

  Layer model_;
  DType dtype_;
  nn::Decoder decoder_;
  std::vector<PlanInput> inputs_;
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

// However many tokens come at once, at first.
TEST_P(DecodeTest, BeginsWithSeveralTokensAtOnce) {
  const auto sequence = tokens({kRows, kContext}, kVocabulary, "tokens");
  Bound bound(gpt(GetParam().options), DType::float64);
  const auto want = bound.at_once(sequence);
  for (const std::int64_t begin : {2, 5, 9}) {
    const auto got = bound.begun(sequence, begin);
    for (std::int64_t n = 0; n < kRows; ++n) {
      for (std::int64_t t = begin - 1; t < kContext; ++t) {
        for (std::int64_t i = 0; i < kVocabulary; ++i) {
          const auto at = (n * got.shape()[1] + t - begin + 1) * kVocabulary + i;
          ASSERT_NEAR(got.item(at), want.item((n * kContext + t) * kVocabulary + i), 1e-12)
              << begin << " at once, position " << t;
        }
      }
    }
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
