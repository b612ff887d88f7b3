// Every schedule against PyTorch's rates of 100 steps (tests/golden/optim_golden.py), and what
// PyTorch has no figures for against the closed form.
#include "descent/optim/schedule.h"

#include <gmock/gmock.h>

#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

const Json& rows() {
  static const Json json = golden("schedules.json");
  return json;
}

std::vector<std::string> names_of_rows() {
  std::vector<std::string> all;
  for (const auto& [key, row] : rows().items()) all.push_back(key);
  return all;
}

class Rates : public testing::TestWithParam<std::string> {};

// 1e-12: a few roundings of 1e-16, and PyTorch's own where it steps recursively.
TEST_P(Rates, AreThoseOfPyTorch) {
  const auto& row = rows().at(GetParam());
  const auto schedule = schedule_from(
      row.at("schedule"), row.at("options"),
      {.lr = row.at("lr"), .steps = row.at("steps"), .steps_per_epoch = row.at("steps_per_epoch")});
  const auto want = row.at("rates").get<std::vector<double>>();
  ASSERT_EQ(want.size(), 100u);
  for (std::size_t t = 0; t < want.size(); ++t) {
    EXPECT_NEAR(schedule(static_cast<std::int64_t>(t)), want[t], 1e-12 * want[t]) << "step " << t;
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
    if (name == "multistep") required["milestones"] = {8, 16};
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

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "no error";
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
