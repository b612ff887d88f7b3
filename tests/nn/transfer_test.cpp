#include "descent/nn/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "descent/base/error.h"
#include "descent/nn/layers.h"

namespace descent::nn {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// 0.weight [3, 2], 0.bias [3], 2.weight [4, 3], 2.bias [4].
std::vector<Variable> model(std::int64_t outputs = 4) {
  return describe(sequential({linear(3), relu(), linear(outputs)}),
                  {DType::float32, {1, 2}, false});
}

Array counting(DType dtype, Shape shape, double from) {
  Array a(dtype, std::move(shape));
  for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, from + static_cast<double>(i));
  return a;
}

Tree tensors(const std::string& prefix = "", DType dtype = DType::float32) {
  return {{prefix + "0.weight", counting(dtype, {3, 2}, 1)},
          {prefix + "0.bias", counting(dtype, {3}, 10)},
          {prefix + "2.weight", counting(dtype, {4, 3}, 20)},
          {prefix + "2.bias", counting(dtype, {4}, 40)}};
}

std::string error_of(std::vector<Variable> variables, const Tree& from,
                     const TransferOptions& options) {
  try {
    transfer(variables, from, options, "a.safetensors");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_THAT(e.what(), HasSubstr("a.safetensors"));
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

TEST(Transfer, ValuesBecomeInitialValuesInTheModelsType) {
  for (const DType dtype : {DType::float32, DType::float64, DType::bfloat16}) {
    auto variables = model();
    auto from = tensors("", dtype);
    from.emplace_back("1.num_batches_tracked", Array(DType::int64, {}));
    const auto done = transfer(variables, from, {}, "f");
    EXPECT_THAT(done.taken, ElementsAre("0.weight", "0.bias", "2.weight", "2.bias"));
    const auto values = initialize(variables, 1);
    const auto expected = tensors();  // small whole numbers: exact in every type
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_TRUE(identical(values[i].second, expected[i].second)) << values[i].first;
    }
  }
}

TEST(Transfer, MapsNames) {
  const std::vector<std::vector<std::string>> maps = {
      {"net.* -> *"}, {"net.0 -> 0", "net.2.*->2.*"}, {"net.*.* -> *.*"}};
  for (const auto& map : maps) {
    auto variables = model();
    EXPECT_EQ(transfer(variables, tensors("net."), {.map = map}, "f").taken.size(), 4u);
    EXPECT_EQ(initialize(variables, 1)[3].second.item(0), 40);
  }
  // A prefix ends at a dot: "net.0" is not the beginning of "net.01".
  EXPECT_THAT(error_of(model(), {{"net.01.weight", Array(DType::float32, {3, 2})}},
                       {.map = {"net.0 -> 0"}}),
              HasSubstr("\"net.0 -> 0\" matches no tensor"));
}

TEST(Transfer, WhatIsSkippedKeepsItsInitialValue) {
  auto variables = model(7);
  const auto before = initialize(variables, 5);
  const auto done = transfer(variables, tensors(), {.skip = {"2.*"}}, "f");
  EXPECT_THAT(done.taken, ElementsAre("0.weight", "0.bias"));
  const auto values = initialize(variables, 5);
  EXPECT_EQ(values[0].second.item(0), 1);
  EXPECT_TRUE(identical(values[2].second, before[2].second));
  EXPECT_TRUE(identical(values[3].second, before[3].second));
}

TEST(Transfer, MisfitsAreListedInOneTable) {
  Tree from = tensors();
  from.erase(from.begin() + 1);  // 0.bias
  from.emplace_back("head.weight", Array(DType::float32, {9}));
  const auto text = error_of(model(7), from, {});
  EXPECT_THAT(text, AllOf(HasSubstr("4 of 5 names do not fit"), HasSubstr("missing"),
                          HasSubstr("unexpected"), HasSubstr("init_map"), HasSubstr("init_skip")));
  EXPECT_THAT(text, testing::ContainsRegex("missing +0.bias +- +\\[3\\]"));
  EXPECT_THAT(text, testing::ContainsRegex("shape +2.weight +\\[4, 3\\] +\\[7, 3\\]"));
  EXPECT_THAT(text, testing::ContainsRegex("unexpected +head.weight +\\[9\\] +-"));

  auto variables = model(7);
  const auto done = transfer(variables, from, {.strict = false}, "f");
  EXPECT_THAT(done.taken, ElementsAre("0.weight"));
  EXPECT_THAT(done.missing, ElementsAre("0.bias"));
  EXPECT_THAT(done.differing, ElementsAre("2.weight", "2.bias"));
  EXPECT_THAT(done.unexpected, ElementsAre("head.weight"));
  EXPECT_THAT(error_of(model(), {{"x", Array(DType::float32, {1})}}, {.strict = false}),
              HasSubstr("none of the names fits"));
}

TEST(Transfer, WrongPatternsAreErrors) {
  EXPECT_THAT(error_of(model(), tensors(), {.skip = {"3.*"}}),
              HasSubstr("\"3.*\" matches no name"));
  EXPECT_THAT(error_of(model(), tensors(), {.map = {"0.wieght -> x"}}),
              HasSubstr("did you mean \"0.weight\"?"));
  for (const char* bad : {"0.weight", "-> x", "x ->", "a.* -> b", "a -> b.*"})
    EXPECT_THAT(error_of(model(), tensors(), {.map = {bad}}), HasSubstr("from -> to"));
  EXPECT_THAT(error_of(model(), tensors(), {.map = {"0.bias -> 2.bias"}}),
              HasSubstr("two tensors become \"2.bias\""));
}

TEST(Freeze, ByPattern) {
  auto variables = model();
  freeze(variables, {"0.*"});
  EXPECT_FALSE(variables[0].trained);
  EXPECT_FALSE(variables[1].trained);
  EXPECT_TRUE(variables[0].frozen && variables[0].parameter());
  EXPECT_TRUE(variables[2].trained && variables[3].trained && !variables[2].frozen);
  EXPECT_THROW(freeze(variables, {"head.*"}), Error);
  EXPECT_THROW(freeze(variables, {"*"}), Error);
  // Buffers are no parameters.
  auto normalised =
      describe(sequential({linear(3), batch_norm()}), {DType::float32, {1, 2}, false});
  EXPECT_THROW(freeze(normalised, {"1.running_mean"}), Error);
}

}  // namespace
}  // namespace descent::nn
