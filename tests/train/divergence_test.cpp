// Steps that are not finite: their cause is named, they can be done again, and a run can go back.
#include "descent/train/divergence.h"

#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

#include "descent/io/safetensors.h"
#include "tests/train/health.h"

namespace descent::test {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

// ---- the cause ----

struct Failed {
  Folder folder;
  Recorder told;
  std::string where, what;
  std::string replay;
};
void fail(Failed& f, train::Config config, const std::function<void(train::Job&)>& change = {}) {
  train::Job job = train::prepare(std::move(config), f.told);
  if (change) change(job);
  try {
    train::run(job, {f.folder / "run"}, f.told);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::diverged) << e.what();
    f.where = e.where();
    f.what = e.message();
  }
  for (const auto& entry : fs::directory_iterator(f.folder / "run")) {
    if (entry.path().filename().string().starts_with("replay-")) f.replay = entry.path().string();
  }
  ASSERT_FALSE(f.replay.empty());
}

TEST(BrokenRun, NanInARow) {
  for (const char* eager : {"train.eager=false", "train.eager=true"}) {
    Failed f;
    fail(f, config_of({"data.path=synthetic:moons", "data.rows=200", "train.shards=2", eager}),
         [](train::Job& job) { job.data.train.features.set_item(2 * 57 + 1, NAN); });
    EXPECT_THAT(f.where, HasSubstr("layer 0"));
    EXPECT_THAT(f.what, testing::AllOf(HasSubstr("operation matmul gave nan"),
                                       HasSubstr("row 57 of the training data"),
                                       HasSubstr("of the file"), HasSubstr("feature 1 is nan")));
    const auto finding = lines_of(f.folder / "run", "finding").back();
    EXPECT_EQ(finding.at("rule"), "non_finite");
    EXPECT_EQ(finding.at("severity"), "error");
    EXPECT_EQ(finding.at("evidence").at("rows"), json({57}));
    EXPECT_EQ(finding.at("layer"), "0");
  }
}

TEST(BrokenRun, ARowThatOverflows) {
  Failed f;
  fail(f, config_of({"data.path=synthetic:sine", "data.rows=200", "data.normalize=none"}),
       [](train::Job& job) { job.data.train.targets.set_item(33, 1e30); });
  EXPECT_THAT(f.what, testing::AllOf(HasSubstr("row 33 of the training data"),
                                     HasSubstr("target 0 is 1e+30")));
}

TEST(BrokenRun, WeightsThatBlowUpBlameNoRow) {
  Failed f;
  fail(f, config_of({"data.path=synthetic:sine", "optimizer.name=sgd", "optimizer.lr=1e6"}));
  EXPECT_THAT(f.what, testing::Not(HasSubstr("training data")));
  EXPECT_THAT(f.where, HasSubstr("layer "));
}

// ---- replay ----

TEST(Replay, DoesTheFailingStepAgain) {
  Failed f;
  fail(f,
       config_of(
           {"data.path=synthetic:moons", "data.rows=200", "train.shards=2", "optimizer.name=adam"}),
       [](train::Job& job) { job.data.train.features.set_item(2 * 57 + 1, NAN); });
  const auto report = train::replay(f.replay, {}, 1);
  EXPECT_FALSE(report.finite);
  EXPECT_THAT(f.where, HasSubstr("step " + std::to_string(report.step) + " "));
  EXPECT_THAT(f.what, HasSubstr(report.divergence.what));
  EXPECT_THAT(f.where, HasSubstr(report.divergence.layer));
  EXPECT_EQ(report.train_rows, std::vector<std::int64_t>{57});
  ASSERT_FALSE(report.ranges.empty());
  EXPECT_EQ(report.ranges[0].name, "0");
  EXPECT_EQ(report.ranges[0].bad, 64) << "the units of one row";
  EXPECT_EQ(report.ranges[0].size, 32 * 64);
  EXPECT_LT(report.ranges[0].low, report.ranges[0].high);
}

TEST(Replay, IsFiniteWhereTheLossIsChanged) {
  Failed f;
  fail(f, config_of({"data.path=synthetic:sine", "data.rows=200", "data.normalize=none"}),
       [](train::Job& job) { job.data.train.targets.set_item(33, 1e30); });
  EXPECT_FALSE(train::replay(f.replay, {}, 1).finite);
  const auto report = train::replay(f.replay, {"loss.name=mae"}, 1);
  EXPECT_TRUE(report.finite);
  EXPECT_GT(report.result.loss, 1e27);
}

TEST(Replay, RefusesOtherFiles) {
  Folder folder;
  Recorder r;
  run({"data.path=synthetic:blobs", "train.epochs=1"}, {folder / "run"}, r);
  try {
    train::replay(newest_state(folder / "run"), {}, 1);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
    EXPECT_THAT(e.what(), HasSubstr("not a file of a failing step"));
  }
}

// ---- rollback ----

// A rate that overflows after some steps, but a fraction of which trains.
Texts rolling(const Texts& more = {}) {
  Texts all = {"data.path=synthetic:sine", "data.rows=400",
               "optimizer.name=sgd",       "optimizer.lr=4",
               "model.hidden=[16]",        "train.epochs=6",
               "train.log_every=1",        "train.max_rollbacks=8",
               "checkpoint.min_seconds=0", "train.on_divergence=rollback"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(Rollback, GoesOnWithHalfTheRate) {
  const Watched run(rolling());
  const auto told = lines_of(run.folder / "run", "finding");
  int rollbacks = 0;
  double factor = 1;
  for (const auto& f : told) {
    if (f.at("rule") != "rollback") continue;
    ++rollbacks;
    EXPECT_EQ(f.at("evidence").at("rate_factor"), factor /= 2);
  }
  EXPECT_GE(rollbacks, 1);
  EXPECT_TRUE(run.told.said("back to step 0 with 0.5 times the learning rate (rollback 1 of 8)"));
  EXPECT_LT(run.told.last("train", "loss"), 0.5);
  EXPECT_EQ(run.told.last("train", "lr"), 4 * factor);
  const auto file = io::load_safetensors(newest_state(run.folder / "run"));
  const auto state = json::parse(file.metadata.at("state"));
  EXPECT_EQ(state.at("rate_factor"), factor);
  EXPECT_EQ(state.at("rollbacks"), rollbacks);
}

TEST(Rollback, StopsAfterSoMany) {
  Failed f;
  fail(f, config_of(rolling({"optimizer.lr=1e9", "train.max_rollbacks=2"})));
  EXPECT_TRUE(f.told.said("(rollback 2 of 2)"));
  EXPECT_FALSE(f.told.said("(rollback 3"));
}

TEST(Rollback, ResumesBitForBit) {
  const auto config = rolling();
  Folder folder;
  Recorder whole;
  run(config, {folder / "whole"}, whole);
  ASSERT_TRUE(whole.said("(rollback 1 of 8)"));
  const auto expected = io::load_safetensors(newest_state(folder / "whole"));
  for (const std::int64_t stop : {1, 5, 12, 25, 47}) {
    const std::string dir = folder / std::to_string(stop);
    Recorder first, second;
    bool asked = false;  // a rollback comes by the same step again
    first.on_record = [&](const track::Record& record) {
      if (record.step == stop && !asked) asked = true, train::request_stop(SIGINT);
    };
    EXPECT_EQ(run(config, {dir}, first).exit_code, 130) << stop;
    EXPECT_EQ(run(config, {dir, true}, second).exit_code, 0);
    const auto found = io::load_safetensors(newest_state(dir));
    ASSERT_EQ(found.tensors.size(), expected.tensors.size());
    for (std::size_t i = 0; i < found.tensors.size(); ++i)
      EXPECT_TRUE(identical(found.tensors[i].second, expected.tensors[i].second))
          << found.tensors[i].first << ", stopped after step " << stop;
    EXPECT_EQ(read_file(dir + "/model.safetensors"), read_file(folder / "whole/model.safetensors"));
    EXPECT_EQ(read_file(dir + "/health.jsonl"), read_file(folder / "whole/health.jsonl")) << stop;
  }
}

// What a rollback leads to is in the checkpoint, wherever the run was stopped.
TEST(Rollback, TheGoodStateIsKeptInTheCheckpoint) {
  train::TrainState state;
  state.parameters = {{"w", Array::from<float>({1, 2}, {2})}};
  state.step = 4;
  state.good = train::snapshot(state);
  state.parameters[0].second.set_item(0, 9);
  state.step = 7, state.rate_factor = 0.25, state.rollbacks = 2;
  const auto back = train::decode(train::encode(state), state, "x");
  ASSERT_NE(back.good, nullptr);
  EXPECT_EQ(back.good->step, 4);
  EXPECT_EQ(back.good->parameters[0].second.item(0), 1);
  EXPECT_EQ(back.parameters[0].second.item(0), 9);
  EXPECT_EQ(back.rate_factor, 0.25);
  train::go_back(state, *state.good);
  EXPECT_EQ(state.step, 4);
  EXPECT_EQ(state.parameters[0].second.item(0), 1);
  EXPECT_EQ(state.rate_factor, 0.25);
  // At the good state itself nothing is kept twice.
  EXPECT_EQ(io::decode(train::encode(state), "x").find("good"), nullptr);
  EXPECT_EQ(train::decode(train::encode(state), state, "x").good->step, 4);
}

}  // namespace
}  // namespace descent::test
