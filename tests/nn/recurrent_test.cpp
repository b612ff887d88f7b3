// Recurrent layers beside the table of layers: rows of several lengths, initial states, decoding
// step by step, and what they refuse.
#include "descent/autodiff/recurrent.h"

#include <gmock/gmock.h>

#include "descent/compile/plan.h"
#include "descent/nn/decode.h"
#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "tests/nn/harness.h"

namespace descent::nn::test {
namespace {

Cell cell_of(const std::string& name) {
  return name == "lstm" ? Cell::lstm : name == "gru" ? Cell::gru : Cell::rnn_tanh;
}
Layer layer_of(const std::string& name, RecurrentLayerOptions options) {
  return name == "lstm" ? lstm(options) : name == "gru" ? gru(options) : rnn(options);
}

// true for the first lengths[n] steps of row n.
Array mask_of(const Integers& lengths) {
  const auto rows = static_cast<std::int64_t>(lengths.size());
  const auto steps = *std::max_element(lengths.begin(), lengths.end());
  Array mask(DType::boolean, {rows, steps});
  for (std::int64_t i = 0; i < rows * steps; ++i)
    mask.set_item(i, i % steps < lengths[static_cast<std::size_t>(i / steps)]);
  return mask;
}

class RecurrentGolden : public testing::TestWithParam<const char*> {
 protected:
  // Both sum up to some hundred terms of rounded operations in float64.
  static constexpr double kTolerance = 1e-12;
};

TEST_P(RecurrentGolden, RowsOfSeveralLengthsAreAsPackedSequences) {
  const std::string name = GetParam();
  const auto expected = golden("recurrent.json").at(name + "_packed");
  const Array mask = mask_of({3, 4, 1, 2}), x = numbers({4, 4, 2}, "input");
  const auto with_returns = [&](Returns returns) {
    return layer_of(name, {.units = 3, .layers = 2, .bidirectional = true, .returns = returns});
  };
  const auto variables =
      descent::nn::describe(with_returns(Returns::last), {DType::float64, x.shape(), true});
  for (const int shards : {1, 2}) {
    const EagerScope eager({.shards = shards});
    Values arguments{leaf(x, true, shards)};
    for (const auto& v : variables)
      arguments.push_back(leaf(numbers(v.type.shape, v.name), false, shards));
    const auto output = [&](ValueSpan in, Returns returns) {
      std::map<std::string, Value> bound;
      for (std::size_t i = 0; i < variables.size(); ++i) bound[variables[i].name] = in[i + 1];
      Scope scope(std::move(bound), true, {}, DType::float64);
      scope.mask = leaf(mask, true, shards);
      return (*with_returns(returns))(scope, in[0]);
    };
    const Value y = output(arguments, Returns::sequence), h = output(arguments, Returns::last);
    expect_close(whole(y, shards), array_of(expected.at("output")), kTolerance, "output");
    expect_close(whole(h, shards), array_of(expected.at("last")), kTolerance, "last state");
    const auto gradients = grad([&](ValueSpan in) {
      const auto weighted = [&](const Value& v, const std::string& by) {
        Shape all = v.shape();
        all[0] *= shards;
        return batch_sum(v * leaf(numbers(all, by), true, shards));
      };
      return weighted(output(in, Returns::sequence), "cotangent") +
             weighted(output(in, Returns::last), "last");
    })(arguments);
    const auto& slopes = expected.at("gradients");
    expect_close(whole(gradients[0], shards), array_of(slopes.at("input")), kTolerance, "input");
    for (std::size_t i = 0; i < variables.size(); ++i) {
      expect_close(gradients[i + 1].array(), array_of(slopes.at(variables[i].name)), kTolerance,
                   variables[i].name);
    }
  }
}

TEST_P(RecurrentGolden, GoesOnFromAnInitialState) {
  const std::string name = GetParam();
  const auto expected = golden("recurrent.json").at(name + "_state");
  const std::int64_t g = name == "lstm" ? 12 : name == "gru" ? 9 : 3;
  std::vector<std::string> names{"input",      "weight_ih_l0", "weight_hh_l0",
                                 "bias_ih_l0", "bias_hh_l0",   "h"};
  std::vector<Shape> shapes{{5, 4, 2}, {g, 2}, {g, 3}, {g}, {g}, {1, 4, 3}};
  if (name == "lstm") names.emplace_back("c"), shapes.push_back({1, 4, 3});
  const EagerScope eager;
  Values arguments;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Value v = leaf(numbers(shapes[i], names[i]), false, 1);
    arguments.push_back(i < 5 ? v : squeeze(v, 0));
  }
  const auto result = [&](ValueSpan in) {
    return recurrent(cell_of(name), in[0], {in[1], in[2], in[3], in[4]},
                     {in[5], in.size() > 6 ? in[6] : Value()});
  };
  const auto r = result(arguments);
  expect_close(r.output.array(), array_of(expected.at("output")), kTolerance, "output");
  expect_close(r.state.h.array(), array_of(expected.at("last h")), kTolerance, "h");
  if (r.state.c) expect_close(r.state.c.array(), array_of(expected.at("last c")), kTolerance, "c");
  const auto gradients = grad([&](ValueSpan in) {
    const auto weighted = [&](const Value& v, const std::string& by) {
      return sum(v * leaf(numbers(v.shape(), by), false, 1));
    };
    const auto now = result(in);
    const Value loss = weighted(now.output, "cotangent") + weighted(now.state.h, "last h");
    return now.state.c ? loss + weighted(now.state.c, "last c") : loss;
  })(arguments);
  for (std::size_t i = 0; i < names.size(); ++i) {
    expect_close(gradients[i].array(), array_of(expected.at("gradients").at(names[i])), kTolerance,
                 names[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentGolden, testing::Values("rnn", "lstm", "gru"));

// A language model token by token gives what it gives for all tokens at once: float32's rounding of
// sums that run in another order.
TEST(RecurrentDecoding, StepByStepIsTheWholeSequence) {
  for (const std::string cell : {"rnn", "lstm", "gru"}) {
    const auto& preset = presets().at("char_rnn");
    const auto options = with({{"cell", cell}, {"embedding", 6}, {"units", 8}});
    const Layer model = preset.make(resolve(preset.options, options, "[model]"),
                                    {.sample = {5}, .outputs = 7, .vocabulary = 7});
    const Array text = tokens({2, 5}, 7, "text");
    const auto decoder = nn::decoder(model, {.rows = 2, .context = 5});
    const auto tree = initialize(decoder.variables, 11);
    EXPECT_EQ(decoder.caches.size(), cell == "lstm" ? 4u : 2u);

    std::vector<Array> all{text};
    for (const auto& [name, array] : tree) all.push_back(array);
    const Array expected = evaluate(
        [&](ValueSpan in) {
          std::map<std::string, Value> bound;
          for (std::size_t i = 0; i < tree.size(); ++i) bound[tree[i].first] = in[i + 1];
          Scope scope(std::move(bound), false, {}, DType::float32);
          return Values{(*model)(scope, in[0])};
        },
        all)[0];

    std::vector<PlanInput> inputs;
    for (std::size_t i = 0; i < tree.size(); ++i)
      inputs.push_back({decoder.variables[i].type, tree[i].first, tree[i].second});
    for (const auto& c : decoder.caches)
      inputs.push_back({c.type, c.name, Array(c.type.dtype, c.type.shape)});
    inputs.push_back({{DType::int64, {}}, "position", {}});
    inputs.push_back({{DType::int64, {2}}, "tokens", {}});
    const int last = static_cast<int>(inputs.size()) - 1;
    Plan step = compile(decoder.step, inputs, {.donate = decoder.donate()});
    Array position = step.input(last - 1), token = step.input(last);
    for (std::int64_t t = 0; t < 5; ++t) {
      position.set_item(0, static_cast<double>(t));
      for (std::int64_t n = 0; n < 2; ++n) token.set_item(n, text.item(n * 5 + t));
      step.run();
      for (std::int64_t n = 0; n < 2; ++n) {
        for (std::int64_t v = 0; v < 7; ++v) {
          EXPECT_NEAR(step.output(0).item(n * 7 + v), expected.item((n * 5 + t) * 7 + v), 1e-6)
              << cell << " at " << t;
        }
      }
    }
  }
}

// Padded or not, a row's state after its tokens is the same: the same operations, so the same bits.
TEST(RecurrentLayer, LeavesOutThePaddingOfAnEmbedding) {
  const Layer model = sequential({embedding({.vocabulary = 5, .dim = 3, .padding_idx = 0}),
                                  lstm({.units = 4, .returns = Returns::last})});
  const auto tree =
      initialize(descent::nn::describe(model, {DType::int64, {1, 4}, true}, DType::float64), 3);
  const auto state = [&](const Array& tokens) {
    std::vector<Array> all{tokens};
    for (const auto& [name, array] : tree) all.push_back(array);
    return evaluate(
        [&](ValueSpan in) {
          std::map<std::string, Value> bound;
          for (std::size_t i = 0; i < tree.size(); ++i) bound[tree[i].first] = in[i + 1];
          Scope scope(std::move(bound), false, {}, DType::float64);
          return Values{(*model)(scope, in[0])};
        },
        all)[0];
  };
  const auto row = [](const std::vector<std::int64_t>& t) {
    return Array::from<std::int64_t>(t, {1, static_cast<std::int64_t>(t.size())});
  };
  EXPECT_TRUE(identical(state(row({3, 1, 0, 0})), state(row({3, 1}))));
  EXPECT_FALSE(identical(state(row({3, 1, 2, 2})), state(row({3, 1}))));
}

TEST(RecurrentLayer, RefusesWhatDoesNotFit) {
  EXPECT_THROW(lstm({.units = 0}), Error);
  EXPECT_THROW(lstm({.units = 2, .layers = 0}), Error);
  EXPECT_THROW(lstm({.units = 2, .dropout = 1}), Error);
  EXPECT_THROW(rnn({.units = 2}, "sine"), Error);
  EXPECT_THROW(gru({.units = 2}, "between"), Error);
  EXPECT_THROW(descent::nn::describe(lstm({.units = 2}), {DType::float32, {4, 3}, true}), Error);
  const Layer both = sequential({embedding({.vocabulary = 3, .dim = 2}),
                                 gru({.units = 2, .bidirectional = true}), linear(3)});
  EXPECT_THROW(decoder(both, {.context = 4}), Error);
  Scope scope;
  scope.mask = input({DType::boolean, {4, 2}, true}, "mask");
  EXPECT_THROW((*gru({.units = 2}))(scope, input({DType::float32, {4, 3, 2}, true}, "x")), Error);
}

}  // namespace
}  // namespace descent::nn::test
