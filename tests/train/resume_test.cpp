// Resume is bit-exact, from any step, however the run ended.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>

#include "descent/base/random.h"
#include "descent/io/safetensors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

// Dropout (random stream), batch norm (buffers), Adam (state), cosine (schedule), early stopping
// and a last short batch: everything that a checkpoint must carry.
std::vector<std::string> assignments(const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"data.path=synthetic:spirals",
                                  "data.rows=330",
                                  "model.name=mlp",
                                  "model.hidden=[16,8]",
                                  "model.dropout=0.2",
                                  "model.batch_norm=true",
                                  "optimizer.name=adamw",
                                  "optimizer.lr=0.01",
                                  "schedule.name=cosine",
                                  "train.epochs=4",
                                  "train.batch_size=32",
                                  "train.log_every=1",
                                  "train.shards=2",
                                  "train.patience=3",
                                  "checkpoint.min_seconds=0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::map<std::int64_t, double> losses(const Recorder& r) {
  std::map<std::int64_t, double> all;
  for (const auto& record : r.records) {
    if (record.split != "train" || record.values.size() != 3) continue;
    all[record.step] = record.values[0].second;
  }
  return all;
}

// Everything but the time: parameters, buffers, optimizer, cursor, best so far.
void expect_same_end(const std::string& a, const std::string& b) {
  const auto x = io::load_safetensors(newest_state(a)), y = io::load_safetensors(newest_state(b));
  ASSERT_EQ(x.tensors.size(), y.tensors.size());
  for (std::size_t i = 0; i < x.tensors.size(); ++i) {
    EXPECT_EQ(x.tensors[i].first, y.tensors[i].first);
    EXPECT_TRUE(identical(x.tensors[i].second, y.tensors[i].second)) << x.tensors[i].first;
  }
  auto s = nlohmann::json::parse(x.metadata.at("state")),
       t = nlohmann::json::parse(y.metadata.at("state"));
  s.erase("seconds"), t.erase("seconds");
  EXPECT_EQ(s, t);
  EXPECT_EQ(read_file(a + "/model.safetensors"), read_file(b + "/model.safetensors"));
}

TEST(Resume, EqualsTheUninterruptedRunFromAnyStep) {
  Folder folder;
  Recorder whole;
  run(assignments(), {folder / "whole"}, whole);
  const auto expected = losses(whole);
  ASSERT_EQ(expected.size(), 36u);  // 264 training rows: 9 steps an epoch
  for (const std::int64_t stop : {1, 4, 9, 10, 17, 18, 35}) {
    const std::string dir = folder / ("stopped-" + std::to_string(stop));
    Recorder first, second;
    first.on_record = [&](const track::Record& r) {
      if (r.step == stop) train::request_stop(SIGINT);
    };
    const auto interrupted = run(assignments(), {dir}, first);
    EXPECT_EQ(interrupted.exit_code, 130) << stop;
    EXPECT_TRUE(first.said("descent train --resume " + dir));
    const auto finished = run(assignments(), {dir, true}, second);
    EXPECT_EQ(finished.exit_code, 0);
    auto joined = losses(first);
    for (const auto& [step, loss] : losses(second)) {
      EXPECT_GT(step, stop);
      joined[step] = loss;
    }
    EXPECT_EQ(joined, expected) << "stopped after step " << stop;
    expect_same_end(folder / "whole", dir);
  }
}

// What else decides the future: the schedule's own counts, batches that are summed up, batches that
// change their size.
TEST(Resume, EqualsTheUninterruptedRunWhateverTheSchedule) {
  const std::vector<std::vector<std::string>> cases = {
      {"schedule.name=plateau", "schedule.patience=0", "schedule.cooldown=1",
       "schedule.threshold=0.5", "schedule.factor=0.5", "train.epochs=6", "train.patience=0"},
      {"train.accumulate=4", "train.batch_size=20"},
      {"train.batch_schedule=[\"2:64\",\"4:100\"]"},
      {"train.batch_schedule=[\"3:64\"]", "train.accumulate=3", "train.drop_last=true",
       "train.epochs=8", "train.patience=0"},
      {"schedule.name=sequential",
       "schedule.parts=[\"linear:9 start_factor=0.1 "
       "end_factor=1\",\"cyclic:9 step_size_up=4\",\"wsd\"]"},
  };
  for (auto more : cases) {
    more.emplace_back("train.shards=1");  // quick on a busy machine: no thread waits for another
    Folder folder;
    Recorder whole;
    run(assignments(more), {folder / "whole"}, whole);
    const auto expected = losses(whole);
    ASSERT_GT(expected.size(), 9u) << more[0];
    for (const std::int64_t stop : {1, 5, 9}) {
      const std::string dir = folder / ("stopped-" + std::to_string(stop));
      Recorder first, second;
      first.on_record = [&](const track::Record& r) {
        if (r.step == stop) train::request_stop(SIGINT);
      };
      EXPECT_EQ(run(assignments(more), {dir}, first).exit_code,
                stop < expected.rbegin()->first ? 130 : 0);
      EXPECT_EQ(run(assignments(more), {dir, true}, second).exit_code, 0);
      auto joined = losses(first);
      for (const auto& [step, loss] : losses(second)) joined[step] = loss;
      EXPECT_EQ(joined, expected) << more[0] << ", stopped after step " << stop;
      expect_same_end(folder / "whole", dir);
    }
  }
}

TEST(Resume, EqualsTheUninterruptedRunAfterKill) {
  Folder folder;
  Recorder whole;
  const auto more =
      assignments({"train.epochs=40", "checkpoint.every_steps=3", "train.patience=0"});
  run(more, {folder / "whole"}, whole);
  const std::string dir = folder / "killed";
  RandomStream random(static_cast<std::uint64_t>(::getpid()));
  int kills = 0;
  for (int attempt = 0; attempt < 200; ++attempt) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // no threads live in this process between runs
      Recorder quiet;
      const auto outcome = run(more, {dir, fs::exists(dir)}, quiet);
      std::_Exit(outcome.exit_code);
    }
    const auto wait = static_cast<useconds_t>(1000 + random.below(60000));
    const bool last = attempt >= 8;  // at last one may finish
    if (!last) {
      ::usleep(wait);
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      ++kills;
      continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    break;
  }
  EXPECT_GE(kills, 1) << "every child finished before it was killed";
  expect_same_end(folder / "whole", dir);
}

TEST(Resume, ADamagedNewestCheckpointFallsBackToTheOneBefore) {
  Folder folder;
  Recorder whole, first, second;
  run(assignments({"checkpoint.keep=3"}), {folder / "whole"}, whole);
  first.on_record = [](const track::Record& r) {
    if (r.step == 20) train::request_stop(SIGTERM);
  };
  const std::string dir = folder / "damaged";
  EXPECT_EQ(run(assignments({"checkpoint.keep=3"}), {dir}, first).exit_code, 143);
  const std::string newest = newest_state(dir);
  std::string bytes = read_file(newest);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 1);  // one bit of a weight
  std::ofstream(newest, std::ios::binary) << bytes;
  run(assignments({"checkpoint.keep=3"}), {dir, true}, second);
  EXPECT_TRUE(second.said("the checksum does not fit"));
  EXPECT_TRUE(second.said("from step 18"));
  expect_same_end(folder / "whole", dir);
}

// What was trained is not written over because nothing of it fits.
TEST(Resume, BeginsAnewOnlyWhereThereIsNoCheckpoint) {
  Folder folder;
  Recorder r;
  const std::string dir = folder / "run";
  run(assignments(), {dir}, r);
  const std::string before = read_file(newest_state(dir));
  const auto refused = [&](const std::vector<std::string>& more, const char* warning) {
    Recorder told;
    try {
      run(assignments(more), {dir, true}, told);
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::data);
      EXPECT_THAT(e.what(), testing::HasSubstr("none of the checkpoints can be used"));
    }
    EXPECT_TRUE(told.said(warning));
  };
  refused({"model.hidden=[4]"}, "the model wants float32[4, 2]");
  EXPECT_EQ(read_file(newest_state(dir)), before);
  for (const auto& e : fs::directory_iterator(dir + "/checkpoints"))
    fs::resize_file(e.path(), e.file_size() / 2);
  refused({}, "is not usable");
}

TEST(Resume, KeepsTheNewestCheckpointsAndTheBest) {
  Folder folder;
  Recorder r;
  run(assignments({"checkpoint.keep=2", "checkpoint.every_steps=2"}), {folder / "run"}, r);
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(folder / "run/checkpoints"))
    names.push_back(e.path().filename().string());
  EXPECT_THAT(names,
              testing::UnorderedElementsAre("best.safetensors", "step-000000000034.safetensors",
                                            "step-000000000036.safetensors"));
}

TEST(Checkpoint, EveryDamageIsNoticed) {
  train::TrainState state;
  state.parameters = {{"0.weight", Array::from<float>({1, 2, 3, 4, 5, 6}, {2, 3})}};
  state.optimizer = {{"m", Array::from<float>({1, 2}, {2})}};
  state.step = 7, state.epoch = 1, state.batch = 3;
  const std::string good = train::encode(state);
  const auto back = train::decode(good, state, "x");
  EXPECT_EQ(back.step, 7);
  EXPECT_TRUE(identical(back.parameters[0].second, state.parameters[0].second));
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    try {
      const auto read = train::decode(bad, state, "x");
      // A flip that is read must have changed nothing that is kept (padding, letter of an ignored
      // key).
      EXPECT_EQ(train::encode(read), good) << "byte " << i;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::data) << i;
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size() * 8 / 10));
  for (std::size_t cut = 0; cut < good.size(); cut += 7)
    EXPECT_THROW(train::decode(good.substr(0, cut), state, "x"), Error) << cut;
}

TEST(Checkpoint, OfAnotherModelIsRefused) {
  train::TrainState a, b;
  a.parameters = {{"0.weight", Array(DType::float32, {2, 3})}};
  b.parameters = {{"0.weight", Array(DType::float32, {3, 3})}};
  try {
    train::decode(train::encode(a), b, "run/checkpoints/step-1.safetensors");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(),
                testing::AllOf(testing::HasSubstr("0.weight"), testing::HasSubstr("[2, 3]"),
                               testing::HasSubstr("[3, 3]")));
  }
}

}  // namespace
}  // namespace descent::test
