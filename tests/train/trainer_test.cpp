#include "descent/train/trainer.h"

#include <gmock/gmock.h>

#include "descent/train/step.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;

std::string weights(const std::vector<std::string>& assignments, int threads) {
  Folder folder;
  Recorder r;
  run(assignments, {folder / "run", false, threads}, r);
  return read_file(folder / "run/model.safetensors");
}

std::vector<std::string> with(std::vector<std::string> base, const std::vector<std::string>& more) {
  base.insert(base.end(), more.begin(), more.end());
  return base;
}

TEST(Threads, ChangeNoByteOfTheWeights) {
  const std::vector<std::string> mlp = {
      "data.path=synthetic:moons", "data.rows=400",     "model.name=mlp", "model.hidden=[64,64]",
      "model.batch_norm=true",     "model.dropout=0.1", "train.epochs=3", "train.batch_size=48",
      "optimizer.clip_norm=1"};
  for (const char* shards : {"train.shards=1", "train.shards=2", "train.shards=4"}) {
    auto with = mlp;
    with.emplace_back(shards);
    const std::string one = weights(with, 1);
    EXPECT_EQ(one, weights(with, 2)) << shards;
    EXPECT_EQ(one, weights(with, 4)) << shards;
  }
}

TEST(Eager, GivesTheSameWeightsBitForBit) {
  const std::vector<std::string> base = {
      "data.path=synthetic:blobs", "data.rows=200",  "model.name=mlp",      "model.hidden=[8]",
      "model.dropout=0.2",         "train.epochs=2", "train.batch_size=20", "train.shards=2"};
  auto eager = base;
  eager.emplace_back("train.eager=true");
  EXPECT_EQ(weights(base, 2), weights(eager, 1));
}

// Flat layers, residual blocks with running statistics, and blocks with dropout.
TEST(Rematerialise, GivesTheSameWeightsBitForBitInLessMemory) {
  using Options = std::vector<std::string>;
  const Options mlp = {"data.path=synthetic:blobs",
                       "data.rows=200",
                       "model.name=mlp",
                       "model.hidden=[32,32,32,32]",
                       "model.dropout=0.2",
                       "model.batch_norm=true",
                       "train.epochs=2",
                       "train.batch_size=20"};
  EXPECT_EQ(weights(mlp, 2), weights(with(mlp, {"train.rematerialise=true"}), 1));
  Recorder r;
  run(with(mlp, {"train.rematerialise=true"}), {}, r);
  EXPECT_TRUE(r.said("memory: a step's values take"));

  std::string text;
  for (int i = 0; i < 400; ++i) text += "the cat sat on mat " + std::to_string(i % 7);
  const Folder folder;
  write_file_atomic(folder / "text.txt", text);
  const Options gpt = {"data.path=" + folder / "text.txt",
                       "data.context=16",
                       "model.name=gpt",
                       "model.layers=2",
                       "model.heads=2",
                       "model.width=16",
                       "model.dropout=0.1",
                       "train.steps=5",
                       "train.batch_size=8"};
  EXPECT_EQ(weights(gpt, 2), weights(with(gpt, {"train.rematerialise=true"}), 2));
}

// The updates of the common optimizers are one pass over memory each: both parameters of the model.
TEST(Plan, CommonOptimizersUpdateInRegisters) {
  using Options = std::vector<std::string>;
  for (const Options& optimizer :
       {Options{"optimizer.name=adam"}, Options{"optimizer.name=adam", "optimizer.clip_norm=1"},
        Options{"optimizer.name=adamw"}, Options{"optimizer.name=adamw", "optimizer.clip_norm=1"},
        // A weight decay that equals 1 - b1.
        Options{"optimizer.name=adamw", "optimizer.clip_norm=1", "optimizer.weight_decay=0.1"},
        Options{"optimizer.name=sgd"}, Options{"optimizer.name=sgd", "optimizer.momentum=0.9"},
        Options{"optimizer.name=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=1e-3"},
        Options{"optimizer.name=rmsprop"}, Options{"optimizer.name=adagrad"}}) {
    for (const char* shards : {"train.shards=1", "train.shards=2"}) {
      Options all = {"data.path=synthetic:blobs", "model.name=linear", "train.steps=1", shards};
      all.insert(all.end(), optimizer.begin(), optimizer.end());
      Recorder r;
      const std::string plan = run(all, {.dump_plan = true}, r).plan;
      std::size_t found = 0;
      for (auto at = plan.find("in registers"); at != std::string::npos;
           at = plan.find("in registers", at + 1))
        ++found;
      EXPECT_EQ(found, 2U) << optimizer.back() << ", " << shards << "\n" << plan;
    }
  }
}

TEST(Seed, DecidesTheRun) {
  const std::vector<std::string> base = {"data.path=synthetic:moons", "model.name=mlp",
                                         "train.epochs=1"};
  auto other = base;
  other.emplace_back("seed=2");
  EXPECT_EQ(weights(base, 1), weights(base, 1));
  EXPECT_NE(weights(base, 1), weights(other, 1));
}

TEST(Modes, FullBatchSingleSampleAndSteps) {
  Recorder full, single, steps;
  run({"data.path=synthetic:moons", "data.rows=100", "train.batch_size=full", "train.epochs=3"}, {},
      full);
  EXPECT_EQ(full.records.back().step, 3);
  run({"data.path=synthetic:moons", "data.rows=100", "train.batch_size=1", "train.epochs=1"}, {},
      single);
  EXPECT_EQ(single.records.back().step, 80);
  run({"data.path=synthetic:moons", "data.rows=100", "train.batch_size=10", "train.steps=13"}, {},
      steps);
  EXPECT_EQ(steps.records.back().step, 13);
  EXPECT_FALSE(std::isnan(steps.last("valid", "loss")))
      << "a run that ends inside an epoch is validated too";
}

TEST(Stopping, EarlyStoppingRestoresTheBestWeights) {
  Folder folder;
  Recorder r;
  // Too large a net and rate on few noisy rows: it overfits within a few epochs.
  const auto outcome =
      run({"data.path=synthetic:moons", "data.rows=120", "data.noise=0.5", "model.hidden=[128,128]",
           "optimizer.lr=0.02", "train.epochs=200", "train.patience=5"},
          {folder / "run"}, r);
  EXPECT_THAT(outcome.reason, HasSubstr("early stopping"));
  EXPECT_TRUE(r.said("best weights restored"));
  double best = 1e9;
  for (const auto& record : r.records) {
    if (record.split == "valid") best = std::min(best, record.values[0].second);
  }
  const auto saved = train::SavedModel::load(folder / "run");
  Recorder quiet;
  const auto job = train::prepare(saved.config, quiet);
  EXPECT_EQ(train::value_of(train::evaluate(saved, job.data.valid, 1), "loss"), best);
}

TEST(Stopping, ConvergenceThresholds) {
  Recorder r;
  EXPECT_THAT(
      run({"data.path=synthetic:blobs", "train.epochs=500", "train.stop_loss=0.3"}, {}, r).reason,
      HasSubstr("converged: loss"));
  EXPECT_THAT(
      run({"data.path=synthetic:blobs", "train.epochs=500", "train.stop_gradient_norm=0.05"}, {}, r)
          .reason,
      HasSubstr("gradient norm"));
  EXPECT_EQ(
      run({"data.path=synthetic:blobs", "train.epochs=100000", "train.max_seconds=0.2"}, {}, r)
          .reason,
      "time limit");
}

TEST(Divergence, NamesStepLayerAndOperationAndKeepsTheState) {
  Folder folder;
  Recorder r;
  try {
    run({"data.path=synthetic:sine", "model.hidden=[32]", "optimizer.name=sgd", "optimizer.lr=1e6",
         "train.epochs=50"},
        {folder / "run"}, r);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::diverged);
    EXPECT_THAT(e.where(), testing::AllOf(HasSubstr("step "), HasSubstr("layer ")));
    EXPECT_THAT(e.what(),
                testing::AllOf(HasSubstr("operation "), HasSubstr("smaller learning rate")));
  }
  // The checkpoint holds the state before the bad step: all finite.
  train::Job job = train::prepare(config_of({"data.path=synthetic:sine", "model.hidden=[32]"}), r);
  const auto file = io::load_safetensors(newest_state(folder / "run"));
  for (const auto& [name, array] : file.tensors) {
    for (const double x : array.to_vector()) ASSERT_TRUE(std::isfinite(x)) << name;
  }
}

TEST(Labels, OutsideTheClassesAreADataError) {
  Recorder r;
  train::Job job = train::prepare(config_of({"data.path=synthetic:moons", "train.epochs=1"}), r);
  job.data.train.targets.set_item(3, 7);
  try {
    train::run(job, {}, r);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
    EXPECT_THAT(e.what(), HasSubstr("index 7"));
  }
}

TEST(LossAndTask, ThatDoNotFitAreRefused) {
  Recorder r;
  EXPECT_THROW(run({"data.path=synthetic:moons", "loss.name=mse"}, {}, r), Error);
  EXPECT_THROW(run({"data.path=synthetic:sine", "loss.name=cross_entropy"}, {}, r), Error);
  EXPECT_THROW(run({"data.path=synthetic:moons", "train.monitor=acuracy", "train.epochs=1"}, {}, r),
               Error);
  EXPECT_THROW(run({"data.path=synthetic:moons", "train.batch_size=many"}, {}, r), Error);
}

TEST(Precision, Float64AndBf16Train) {
  for (const char* precision :
       {"train.precision=float64", "train.precision=bf16", "train.precision=float32"}) {
    Recorder r;
    run({"data.path=synthetic:moons", "data.noise=0.05", "model.hidden=[32,32]", "train.epochs=40",
         "optimizer.lr=0.01", precision},
        {}, r);
    EXPECT_GT(r.last("test", "accuracy"), 0.95) << precision;
  }
}

TEST(BinaryLosses, TakeOneLogit) {
  for (const char* loss : {"loss.name=binary_cross_entropy", "loss.name=hinge"}) {
    Folder folder;
    Recorder r;
    run({"data.path=synthetic:moons", "data.noise=0.05", "model.hidden=[32,32]", "train.epochs=30",
         "optimizer.lr=0.01", loss},
        {folder / "run"}, r);
    EXPECT_GT(r.last("test", "accuracy"), 0.95) << loss;
    const auto saved = train::SavedModel::load(folder / "run");
    EXPECT_EQ(saved.variables.back().second.shape(), Shape({1}));
    const auto job = train::prepare(saved.config, r);
    const Array p = train::Predictor(saved, 1).predict(job.data.test);
    EXPECT_EQ(p.shape(), Shape({job.data.test.rows(), 2}));
    EXPECT_NEAR(p.item(0) + p.item(1), 1, 1e-12);
  }
}

TEST(SavedModel, PredictsWhatTheRunMeasured) {
  Folder folder;
  Recorder r;
  run({"data.path=synthetic:spirals", "train.epochs=3"}, {folder / "run"}, r);
  const auto saved = train::SavedModel::load(folder / "run/model.safetensors");
  const auto job = train::prepare(saved.config, r);
  const auto metrics = train::evaluate(saved, job.data.test, 2);
  EXPECT_EQ(train::value_of(metrics, "loss"), r.last("test", "loss"));
  EXPECT_EQ(train::value_of(metrics, "accuracy"), r.last("test", "accuracy"));
}

TEST(SavedModel, DamagedOrMissingFilesAreDataErrors) {
  Folder folder;
  Recorder r;
  EXPECT_THROW(train::SavedModel::load(folder / "nothing"), Error);
  run({"data.path=synthetic:moons", "train.epochs=1"}, {folder / "run"}, r);
  std::ofstream(folder / "run/model.json") << "{\"format\": \"other\"}";
  EXPECT_THROW(train::SavedModel::load(folder / "run"), Error);
  std::ofstream(folder / "run/model.json") << "{";
  EXPECT_THROW(train::SavedModel::load(folder / "run"), Error);
}

TEST(Shards, AreTheLargestDivisorOfTheRows) {
  EXPECT_EQ(train::shards_for(128, 4), 4);
  EXPECT_EQ(train::shards_for(96, 5), 4);
  EXPECT_EQ(train::shards_for(97, 8), 1);
  EXPECT_EQ(train::shards_for(1, 8), 1);
}

}  // namespace
}  // namespace descent::test
