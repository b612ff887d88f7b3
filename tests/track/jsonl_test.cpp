#include "descent/track/jsonl.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::track {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Record at(std::int64_t step) {
  return {.step = step, .epoch = 1, .split = "train", .values = {{"loss", 0.5}}, .seconds = 2};
}

class Jsonl : public testing::Test {
 protected:
  Jsonl() { std::filesystem::create_directories(folder_); }
  ~Jsonl() override { std::filesystem::remove_all(folder_); }
  std::string folder_ = testing::TempDir() + "jsonl_" + std::to_string(getpid());
  std::string path_ = folder_ + "/metrics.jsonl";
};

TEST(JsonlLine, HoldsWhatWasMeasuredInOrder) {
  const Record record{.step = 12,
                      .epoch = 3,
                      .split = "valid",
                      .values = {{"loss", 0.25}, {"accuracy", 1}, {"lr", 1e-3}, {"grad_norm", 3.5}},
                      .seconds = 4.5};
  EXPECT_EQ(to_line(record),
            R"({"step":12,"epoch":3,"split":"valid","loss":0.25,"accuracy":1.0,"lr":0.001,)"
            R"("grad_norm":3.5,"seconds":4.5})");
}

TEST(JsonlLine, WhatIsNotFiniteIsNull) {
  const Record record{.split = "train", .values = {{"loss", kNaN}, {"a", kInf}, {"b", -kInf}}};
  EXPECT_EQ(to_line(record),
            R"({"step":0,"epoch":0,"split":"train","loss":null,"a":null,"b":null,"seconds":0.0})");
}

TEST(JsonlLine, NumbersReadBackExactly) {
  const double x = 0.1 + 0.2;
  Record record = at(1);
  record.values = {{"loss", x}};
  EXPECT_EQ(nlohmann::json::parse(to_line(record))["loss"].get<double>(), x);
}

TEST_F(Jsonl, EveryLineIsThereAtOnce) {
  JsonlSink sink(path_);
  sink.begin({});
  sink.record(at(1));
  EXPECT_EQ(read_file(path_), to_line(at(1)) + "\n");
  sink.record(at(2));
  EXPECT_EQ(read_file(path_), to_line(at(1)) + "\n" + to_line(at(2)) + "\n");
}

TEST_F(Jsonl, ANewRunBeginsTheFileAnew) {
  append_line(path_, "old");
  JsonlSink sink(path_);
  sink.begin({});
  EXPECT_EQ(read_file(path_), "");
}

TEST_F(Jsonl, AResumedRunDropsWhatCameAfterItsCheckpoint) {
  {
    JsonlSink sink(path_);
    sink.begin({});
    for (int step : {10, 20, 30, 40}) sink.record(at(step));
  }
  append_line(path_, "not json");
  append_line(path_, "{\"no\":\"step\"}");
  JsonlSink sink(path_);
  sink.begin({.first_step = 20});
  sink.record(at(21));
  EXPECT_EQ(read_file(path_),
            to_line(at(10)) + "\n" + to_line(at(20)) + "\n" + to_line(at(21)) + "\n");
}

TEST_F(Jsonl, AResumedRunDropsALineThatIsCutOff) {
  write_file_atomic(path_, to_line(at(10)) + "\n" + to_line(at(11)));
  JsonlSink sink(path_);
  sink.begin({.first_step = 20});
  EXPECT_EQ(read_file(path_), to_line(at(10)) + "\n");
}

TEST_F(Jsonl, AResumedRunMayHaveNoFile) {
  JsonlSink sink(path_);
  sink.begin({.first_step = 20});
  sink.record(at(21));
  EXPECT_EQ(read_file(path_), to_line(at(21)) + "\n");
}

TEST_F(Jsonl, WhatCannotBeWrittenIsADataError) {
  JsonlSink sink(folder_ + "/none/metrics.jsonl");
  try {
    sink.begin({});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
  }
}

}  // namespace
}  // namespace descent::track
