// Averages of the weights are what is validated, tested and saved; training and checkpoints keep
// the weights themselves, and resume with every piece of an optimizer is bit-exact.
#include "descent/train/averaged.h"

#include <gmock/gmock.h>

#include <csignal>

#include "descent/io/safetensors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

// Dropout and no batch normalisation: its statistics would be of the weights themselves.
std::vector<std::string> assignments(const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"data.path=synthetic:spirals",
                                  "data.rows=330",
                                  "model.name=mlp",
                                  "model.hidden=[16,8]",
                                  "model.dropout=0.2",
                                  "optimizer.lr=0.01",
                                  "train.epochs=3",
                                  "train.batch_size=32",
                                  "train.log_every=1",
                                  "train.shards=2",
                                  "checkpoint.min_seconds=0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

struct Ended {
  train::Job job;
  Recorder recorder;
  train::Outcome outcome;
};
Ended train_in(const std::string& directory, const std::vector<std::string>& more) {
  Recorder recorder;
  train::Job job = train::prepare(config_of(assignments(more)), recorder);
  auto outcome = train::run(job, {directory}, recorder);
  return {std::move(job), std::move(recorder), std::move(outcome)};
}

class Averages : public testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(
    , Averages,
    testing::Values(std::vector<std::string>{"optimizer.name=sgd", "optimizer.ema_decay=0.9",
                                             "optimizer.momentum=0.9"},
                    std::vector<std::string>{"optimizer.name=adam", "optimizer.swa_start=10",
                                             "optimizer.swa_every=3"},
                    std::vector<std::string>{"optimizer.name=adam", "optimizer.lookahead_steps=5"},
                    std::vector<std::string>{"optimizer.name=schedule_free_adamw"}));

// The validation loss of the last epoch is that of the saved model, and not that of the weights
// themselves.
TEST_P(Averages, AreValidatedAndSaved) {
  Folder folder;
  auto more = GetParam();
  more.emplace_back("train.restore_best=false");
  const std::string dir = folder / "run";
  const auto ended = train_in(dir, more);
  auto saved = train::SavedModel::load(dir);
  // Another number of shards adds up in another order.
  const double measured = train::evaluate(saved, ended.job.data.valid, 1)[0].second;
  EXPECT_NEAR(ended.recorder.last("valid", "loss"), measured, 1e-6);
  EXPECT_NEAR(ended.recorder.last("test", "loss"),
              train::evaluate(saved, ended.job.data.test, 1)[0].second, 1e-6);

  const auto checkpoint = io::load_safetensors(newest_state(dir));
  int differing = 0;
  for (auto& [name, array] : saved.variables) {
    const Array& raw = checkpoint.at("parameters/" + name, dir);
    differing += identical(array, raw) ? 0 : 1;
    array = raw;
  }
  EXPECT_GT(differing, 0);
  EXPECT_GT(std::abs(train::evaluate(saved, ended.job.data.valid, 1)[0].second - measured), 1e-5);
}

TEST_P(Averages, AreTheBestWeights) {
  Folder folder;
  const std::string dir = folder / "run";
  const auto ended = train_in(dir, GetParam());
  const auto saved = train::SavedModel::load(dir);
  const auto checkpoint = io::load_safetensors(newest_state(dir));
  for (const auto& [name, array] : saved.variables)
    EXPECT_TRUE(identical(array, checkpoint.at("best/parameters/" + name, dir))) << name;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& record : ended.recorder.records) {
    if (record.split == "valid") least = std::min(least, record.values.at(0).second);
  }
  EXPECT_NEAR(train::evaluate(saved, ended.job.data.valid, 1)[0].second, least, 1e-6);
}

// The arrays that are evaluated are the state's own where there is no average.
TEST(AveragedWeights, AreTheParametersWithoutAnAverage) {
  Folder folder;
  const std::string dir = folder / "run";
  train_in(dir, {"optimizer.name=adam", "train.restore_best=false"});
  const auto saved = train::SavedModel::load(dir);
  const auto checkpoint = io::load_safetensors(newest_state(dir));
  for (const auto& [name, array] : saved.variables)
    EXPECT_TRUE(identical(array, checkpoint.at("parameters/" + name, dir))) << name;
}

// ---- resume ----

class Resumed : public testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(
    , Resumed,
    testing::Values(std::vector<std::string>{"optimizer.name=sgd", "optimizer.ema_decay=0.9",
                                             "optimizer.gradient_noise=0.01"},
                    std::vector<std::string>{"optimizer.name=adam", "optimizer.swa_start=6",
                                             "optimizer.swa_every=4", "optimizer.sam=0.05"},
                    std::vector<std::string>{"optimizer.name=adam", "optimizer.lookahead_steps=4",
                                             "optimizer.centralize=true"},
                    std::vector<std::string>{"optimizer.name=schedule_free_sgd"},
                    std::vector<std::string>{"optimizer.name=prodigy", "optimizer.lr=1"},
                    std::vector<std::string>{"optimizer.name=sophia"},
                    std::vector<std::string>{"optimizer.name=muon"}));

TEST_P(Resumed, EqualsTheUninterruptedRun) {
  Folder folder;
  train_in(folder / "whole", GetParam());
  for (const std::int64_t stop : {3, 13}) {
    const std::string dir = folder / ("stopped-" + std::to_string(stop));
    Recorder first, second;
    first.on_record = [&](const track::Record& r) {
      if (r.step == stop) train::request_stop(SIGINT);
    };
    EXPECT_EQ(run(assignments(GetParam()), {dir}, first).exit_code, 130);
    EXPECT_EQ(run(assignments(GetParam()), {dir, true}, second).exit_code, 0);
    const auto x = io::load_safetensors(newest_state(folder / "whole")),
               y = io::load_safetensors(newest_state(dir));
    ASSERT_EQ(x.tensors.size(), y.tensors.size());
    for (std::size_t i = 0; i < x.tensors.size(); ++i)
      EXPECT_TRUE(identical(x.tensors[i].second, y.tensors[i].second)) << x.tensors[i].first;
    EXPECT_EQ(read_file(folder / "whole/model.safetensors"), read_file(dir + "/model.safetensors"));
  }
}

// The compiled step is the eager one's, with products of the Hessian and other gradients in it.
TEST(SecondOrder, CompiledEqualsEager) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"optimizer.name=sophia", "optimizer.hessian_every=4"},
        std::vector<std::string>{"optimizer.name=adam", "optimizer.sam=0.05"}}) {
    Folder folder;
    auto eager = more;
    eager.emplace_back("train.eager=true");
    train_in(folder / "compiled", more);
    train_in(folder / "eager", eager);
    EXPECT_EQ(read_file(folder / "compiled/model.safetensors"),
              read_file(folder / "eager/model.safetensors"));
  }
}

}  // namespace
}  // namespace descent::test
