// Every schedule against PyTorch's rates of 100 steps (tests/golden/optim_golden.py,
// schedule_golden.py), and what PyTorch has no figures for against the closed form.
#include "descent/optim/schedule.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/optim/stepper.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

using descent::test::error_of;

const Json& rows() {
  static const Json all = [] {
    Json merged = golden("schedules.json");
    merged.update(golden("schedules_more.json"));
    return merged;
  }();
  return all;
}

std::vector<std::string> names_of_rows() {
  std::vector<std::string> all;
  for (const auto& [key, row] : rows().items()) all.push_back(key);
  return all;
}

class Rates : public testing::TestWithParam<std::string> {};

// 1e-12: a few roundings of 1e-16, and PyTorch's own where it steps recursively; 1e-17 of a rate of
// 0.1: what 1 + cos leaves of a zero.
TEST_P(Rates, AreThoseOfPyTorch) {
  const auto& row = rows().at(GetParam());
  const auto schedule = schedule_from(
      row.at("schedule"), row.at("options"),
      {.lr = row.at("lr"), .steps = row.at("steps"), .steps_per_epoch = row.at("steps_per_epoch")});
  const auto want = row.at("rates").get<std::vector<double>>();
  ASSERT_EQ(want.size(), 100u);
  for (std::size_t t = 0; t < want.size(); ++t) {
    EXPECT_NEAR(schedule(static_cast<std::int64_t>(t)), want[t], 1e-12 * want[t] + 1e-17)
        << "step " << t;
  }
}

INSTANTIATE_TEST_SUITE_P(, Rates, testing::ValuesIn(names_of_rows()),
                         [](const auto& test) { return test.param; });

TEST(ScheduleRegistry, EveryScheduleAndOptionHasAGoldenRow) {
  for (const auto& [name, entry] : schedules().entries()) {
    std::vector<std::string> set{"warmup_steps", "warmup_start_factor", "unit"};
    bool row_found = false;
    for (const auto& [key, row] : rows().items()) {
      if (row.at("schedule") != name) continue;
      row_found = true;
      for (const auto& [option, value] : row.at("options").items()) set.push_back(option);
    }
    EXPECT_TRUE(row_found) << name << ": add a row to tests/golden/optim_golden.py";
    for (const auto& option : entry.options) {
      EXPECT_FALSE(option.help.empty()) << name << "." << option.key;
      // decay_steps has one meaning, and polynomial, linear and the tests below set it.
      if (option.key == "decay_steps") continue;
      EXPECT_THAT(set, testing::Contains(option.key)) << name;
    }
  }
}

TEST(Schedule, ConstructorsAreWhatTheRegistryMakes) {
  const RunLength run{.lr = 0.3, .steps = 40};
  const std::vector<std::tuple<std::string, Json, Schedule>> pairs = {
      {"constant", Json::object(), optim::constant(0.3)},
      {"step", {{"step_size", 7}, {"gamma", 0.5}}, step_decay(0.3, 7, 0.5)},
      {"multistep", {{"milestones", {20, 5}}}, multistep(0.3, {5, 20})},
      {"exponential", {{"gamma", 0.9}}, exponential(0.3, 0.9)},
      {"cosine", {{"min_lr", 0.01}}, cosine(0.3, 40, {.min_lr = 0.01})},
      {"linear", {{"decay_steps", 30}}, linear(0.3, 30)},
      {"polynomial", {{"power", 3.0}}, polynomial(0.3, 40, {.power = 3})},
      {"one_cycle", {{"pct_start", 0.4}}, one_cycle(0.3, 40, {.pct_start = 0.4})},
      {"constant_factor", {{"steps", 9}}, constant_factor(0.3, {.steps = 9})},
      {"multiplicative",
       {{"milestones", {5, 20}}, {"factors", {0.5, 3.0}}},
       multiplicative(0.3, {5, 20}, {0.5, 3})},
      {"cyclic",
       {{"step_size_up", 6}, {"mode", "triangular2"}},
       cyclic(0.3, {.step_size_up = 6, .mode = Cycles::triangular2})},
      {"cosine_restarts",
       {{"period", 9}, {"period_factor", 2}},
       cosine_restarts(0.3, 9, {.period_factor = 2})},
      {"inverse_sqrt", {{"timescale", 8}}, inverse_sqrt(0.3, 8)},
      {"wsd", {{"shape", "cosine"}}, wsd(0.3, 36, 4, {.shape = Decay::cosine})},
      {"sequential",
       {{"parts", {"linear:10", "exponential:20 gamma=0.9", "cosine"}}},
       sequential({linear(0.3, 10), exponential(0.3, 0.9), cosine(0.3, 10)}, {10, 30})},
      {"chained",
       {{"parts", {"linear:10 start_factor=0.5 end_factor=1", "cosine"}}},
       chained(0.3, {linear(0.3, 10, {.start_factor = 0.5, .end_factor = 1}), cosine(0.3, 40)})},
      {"plateau", Json::object(), optim::constant(0.3)},  // but for what the trainer does
  };
  ASSERT_EQ(pairs.size(), schedules().entries().size());
  for (const auto& [name, options, direct] : pairs) {
    const auto made = schedule_from(name, options, run);
    for (std::int64_t t = 0; t < 60; ++t) EXPECT_EQ(made(t), direct(t)) << name << " at " << t;
  }
}

TEST(Schedule, KeepsItsLastValueAfterTheEnd) {
  EXPECT_EQ(cosine(1, 10, {.min_lr = 0.1})(10), 0.1);
  EXPECT_EQ(cosine(1, 10, {.min_lr = 0.1})(17), 0.1);
  EXPECT_EQ(linear(1, 10, {.end_factor = 0.5})(12), 0.5);
  EXPECT_EQ(polynomial(1, 10, {.power = 2, .min_lr = 0.25})(1000), 0.25);
  EXPECT_EQ(wsd(1, 5, 10, {.min_lr = 0.25})(15), 0.25);
  EXPECT_EQ(wsd(1, 5, 10, {.min_lr = 0.25})(99), 0.25);
  const auto cycle = one_cycle(1, 10);
  EXPECT_EQ(cycle(9), cycle(30));
  EXPECT_NEAR(cycle(9), 1 / 25.0 / 1e4, 1e-20);
}

TEST(Schedule, OneCycleOfFewSteps) {
  for (std::int64_t steps : {1, 2, 3, 4, 10}) {
    const auto schedule = one_cycle(1, steps, {.pct_start = 0.25});
    for (std::int64_t t = 0; t < steps; ++t) {
      EXPECT_GE(schedule(t), 1 / 25.0 / 1e4 * (1 - 1e-12)) << steps << " at " << t;
      EXPECT_LE(schedule(t), 1.0) << steps << " at " << t;
    }
  }
}

// Closed form of the warm-up of any schedule: a line to its first rate, then it from its beginning.
TEST(Schedule, WarmupOfAnySchedule) {
  for (const auto& [name, entry] : schedules().entries()) {
    Json required = Json::object();
    if (name == "step") required["step_size"] = 8;
    if (name == "multistep" || name == "multiplicative") required["milestones"] = {8, 16};
    if (name == "multiplicative") required["factors"] = {0.5, 2.5};
    if (name == "cosine_restarts") required["period"] = 12;
    if (name == "sequential") required["parts"] = {"constant_factor:9", "cosine"};
    if (name == "chained") required["parts"] = {"exponential gamma=0.9", "cosine"};
    if (name == "inverse_sqrt") required["timescale"] = 7;  // by default it is the warm-up
    const auto plain = schedule_from(name, required, {.lr = 0.2, .steps = 30});
    auto with = required;
    with["warmup_steps"] = 10;
    with["warmup_start_factor"] = 0.1;
    const auto warm = schedule_from(name, with, {.lr = 0.2, .steps = 40});
    for (std::int64_t t = 0; t < 10; ++t) {
      const double want = plain(0) * (0.1 + 0.9 * static_cast<double>(t) / 10);
      EXPECT_NEAR(warm(t), want, 1e-15) << name << " at " << t;
    }
    for (std::int64_t t = 10; t < 40; ++t) EXPECT_EQ(warm(t), plain(t - 10)) << name << " at " << t;
  }
  EXPECT_EQ(warmup(4, optim::constant(1))(0), 0);
  EXPECT_EQ(warmup(4, optim::constant(1))(1), 0.25);
  EXPECT_EQ(warmup(0, optim::constant(1))(0), 1);
}

TEST(Schedule, ErrorsSayWhatToDo) {
  using testing::HasSubstr;
  EXPECT_THAT(error_of([] { schedule_from("cosine", Json::object(), {.lr = 1}); }),
              HasSubstr("set decay_steps"));
  EXPECT_THAT(error_of([] {
                schedule_from("cosine", {{"unit", "epoch"}}, {.steps = 9});
              }),
              HasSubstr("use unit = \"step\""));
  EXPECT_THAT(error_of([] { schedule_from("step", Json::object(), {}); }),
              HasSubstr("\"step_size\" is required"));
  EXPECT_THAT(error_of([] { schedule_from("cosin", Json::object(), {}); }),
              HasSubstr("did you mean \"cosine\"?"));
  EXPECT_THAT(error_of([] { cosine(1, 0); }), HasSubstr("steps must be greater than 0"));
  EXPECT_THAT(error_of([] { one_cycle(1, 10, {.pct_start = 0.6, .three_phase = true}); }),
              HasSubstr("pct_start"));
  const auto sequential_of = [](const std::string& part) {
    return error_of([&] {
      schedule_from("sequential", {{"parts", {part, "constant"}}}, {.lr = 1, .steps = 9});
    });
  };
  EXPECT_THAT(sequential_of("linear"), HasSubstr("all parts but the last need their steps"));
  EXPECT_THAT(sequential_of("linear:x"), HasSubstr("not a number of steps"));
  EXPECT_THAT(sequential_of("linear:5 end_factor"), HasSubstr("has no \"=\""));
  EXPECT_THAT(sequential_of("linaer:5"), HasSubstr("did you mean \"linear\"?"));
  EXPECT_THAT(sequential_of("linear:5 end_facto=1"), HasSubstr("end_factor"));
  EXPECT_THAT(error_of([] {
                multiplicative(1, {3, 5}, {0.5});
              }),
              HasSubstr("2 milestones and 1 factors"));
  EXPECT_THAT(error_of([] { sequential({optim::constant(1)}, {3}); }),
              HasSubstr("one milestone less"));
}

// The Transformer's formula, whatever the peak; T5 without a warm-up.
TEST(Schedule, InverseSqrtGoesOnFromItsWarmup) {
  const auto made = schedule_from("inverse_sqrt", {{"warmup_steps", 40}}, {.lr = 0.25});
  for (std::int64_t t = 1; t < 400; ++t) {
    const auto s = static_cast<double>(t);
    // 1e-15: two roundings of figures below 0.25.
    EXPECT_NEAR(made(t), 0.25 * std::min(s / 40, std::sqrt(40 / s)), 1e-15) << t;
  }
  const auto t5 = schedule_from("inverse_sqrt", {{"hold", true}}, {.lr = 0.01});
  EXPECT_EQ(t5(10'000), 0.01);
  EXPECT_NEAR(t5(40'000), 0.005, 1e-17);
}

// A part that has a warm-up of its own, and parts within parts.
TEST(Schedule, SequentialTakesWhateverASectionTakes) {
  const auto made = schedule_from(
      "sequential", {{"parts", {"cosine:20 warmup_steps=5", "constant_factor steps=3"}}},
      {.lr = 1, .steps = 40});
  EXPECT_EQ(made(0), 0);
  EXPECT_EQ(made(5), 1);
  EXPECT_EQ(made(19), cosine(1, 15)(14));
  EXPECT_EQ(made(22), 1.0 / 3);
  EXPECT_EQ(made(23), 1);
}

// A schedule that counts epochs holds its rate within one; the warm-up still counts steps.
TEST(Schedule, CountsEpochs) {
  const auto schedule = schedule_from("cosine", {{"unit", "epoch"}, {"warmup_steps", 4}},
                                      {.lr = 1, .steps = 44, .steps_per_epoch = 10});
  const auto inner = cosine(1, 4);
  for (std::int64_t t = 4; t < 44; ++t) EXPECT_EQ(schedule(t), inner((t - 4) / 10)) << t;
  EXPECT_EQ(schedule(1), 0.25);
}

}  // namespace
}  // namespace descent::optim::test
