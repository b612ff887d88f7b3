#include "descent/cli/grid.h"

#include <gmock/gmock.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/cli/comparison.h"

namespace descent::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> labels(const Grid& grid) {
  std::vector<std::string> all;
  for (const auto& v : grid.variants) all.push_back(v.label);
  return all;
}

double number(const train::RawConfig& raw, const std::string& section, const std::string& key) {
  return std::get<double>(raw.sections.at(section).at(key).value);
}

TEST(SplitValues, KeepsBracketsAndQuotesWhole) {
  EXPECT_THAT(split_values("sgd,adam"), ElementsAre("sgd", "adam"));
  EXPECT_THAT(split_values("[64,32], [128]"), ElementsAre("[64,32]", "[128]"));
  EXPECT_THAT(split_values("\"a,b\",'c'"), ElementsAre("a,b", "c"));
  EXPECT_THAT(split_values("0.1"), ElementsAre("0.1"));
  EXPECT_THAT(split_values(""), ElementsAre(""));
}

TEST(MakeGrid, MakesEveryCombination) {
  const auto grid = make_grid({}, {"optimizer.name=sgd,adam", "optimizer.lr=0.1,0.01", "seed=3"});
  EXPECT_THAT(labels(grid),
              ElementsAre("sgd lr=0.1", "sgd lr=0.01", "adam lr=0.1", "adam lr=0.01"));
  EXPECT_EQ(number(grid.variants[3].config, "optimizer", "lr"), 0.01);
  EXPECT_THAT(grid.notes, IsEmpty());
  EXPECT_THAT(grid.variants[0].settings, ElementsAre(testing::Pair("optimizer.name", "sgd"),
                                                     testing::Pair("optimizer.lr", "0.1")));
}

// In whichever order they are given.
TEST(MakeGrid, AKeyCountsOnlyWhereItExists) {
  for (const bool first : {false, true}) {
    std::vector<std::string> set = {"optimizer.name=sgd,adam", "optimizer.momentum=0,0.9"};
    if (first) std::swap(set[0], set[1]);
    const auto grid = make_grid({}, set);
    EXPECT_EQ(grid.variants.size(), 3U);  // adam once
    EXPECT_THAT(grid.notes, ElementsAre(HasSubstr("adam has no momentum")));
  }
  // What the file gives its own optimizer does not hinder another.
  train::RawConfig base;
  base.set("optimizer.name=sgd", "file");
  base.set("optimizer.momentum=0.9", "file");
  const auto grid = make_grid(base, {"optimizer.name=sgd,adam"});
  EXPECT_EQ(number(grid.variants[0].config, "optimizer", "momentum"), 0.9);
  EXPECT_FALSE(grid.variants[1].config.sections.at("optimizer").contains("momentum"));
}

TEST(MakeGrid, MistakesStayErrors) {
  for (const char* set : {"optimizer.momentun=0.9", "optimizer.lr=fast", "nonsense"}) {
    EXPECT_THROW(make_grid({}, {"optimizer.name=sgd,adam", set}), Error) << set;
  }
  // No optimizer that is compared has it.
  EXPECT_THROW(make_grid({}, {"optimizer.name=adam", "optimizer.momentum=0.9"}), Error);
  EXPECT_THROW(make_grid({}, {"optimizer.name=adam,adma"}), Error);
}

// ---- what is made of the trials ----

Trial trial(double best, int code = 0) {
  return {.reason = code == 0 ? "finished" : "diverged: step 3",
          .exit_code = code,
          .best = best,
          .last = best + 1,
          .train_loss = best,
          .seconds = 2,
          .steps = 10,
          .at = {5, 10},
          .after = {1, 2},
          .loss = {best + 2, best}};
}

TEST(Comparison, RanksTheBestFirstAndTheDivergedLast) {
  Comparison c{.metric = "loss", .curve = "validation loss"};
  c.contenders = {{.label = "lost", .trials = {trial(0.01, 4), trial(0.02)}},
                  {.label = "slow", .trials = {trial(0.5), trial(0.7)}},
                  {.label = "good", .trials = {trial(0.2), trial(0.4)}}};
  rank(c);
  EXPECT_EQ(c.contenders[0].label, "good");
  EXPECT_EQ(c.contenders[2].label, "lost");
  const auto text = table_of(c);
  EXPECT_THAT(text, HasSubstr("0.3 +- 0.14"));  // sqrt(0.02)
  EXPECT_THAT(text, HasSubstr("1 of 2 diverged"));
  const auto json = json_of(c);
  EXPECT_EQ(json["ranking"][0]["label"], "good");
  EXPECT_EQ(json["ranking"][2]["best"]["mean"], 0.02);
  c.larger_is_better = true;
  rank(c);
  EXPECT_EQ(c.contenders[0].label, "slow");
}

TEST(Comparison, DrawsBandsOverSeeds) {
  Comparison c{.metric = "loss", .curve = "validation loss"};
  c.contenders = {{.label = "a", .trials = {trial(0.5), trial(0.7)}},
                  {.label = "b", .trials = {trial(1)}}};
  const auto figure = figure_of(c);
  ASSERT_EQ(figure.panels.size(), 2U);
  const auto& band = figure.panels[0].lines[0];
  EXPECT_THAT(band.x, ElementsAre(5, 10));
  EXPECT_NEAR(band.y[1], 0.6, 1e-12);  // rounding
  EXPECT_NEAR(band.high[1] - band.low[1], 0.2 * std::sqrt(2.0), 1e-12);
  EXPECT_THAT(figure.panels[1].lines[0].x, ElementsAre(1, 2));
  EXPECT_THAT(figure.panels[0].lines[1].low, IsEmpty());
  EXPECT_THAT(figure.svg(), HasSubstr("<svg"));
}

}  // namespace
}  // namespace descent::cli
