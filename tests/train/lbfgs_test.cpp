// L-BFGS through the trainer: what it reaches, what it saves, and how it is told about batches.
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

#include "descent/io/safetensors.h"
#include "descent/ops/ops.h"
#include "descent/optim/minimize.h"
#include "tests/support/errors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;
using Texts = std::vector<std::string>;

Texts assignments(const Texts& more = {}) {
  Texts all = {"data.path=synthetic:blobs",
               "data.rows=300",
               "model.name=linear",
               "optimizer.name=lbfgs",
               "optimizer.line_search=strong_wolfe",
               "optimizer.weight_decay=0.01",
               "train.batch_size=full",
               "train.epochs=40",
               "train.precision=float64",
               "train.restore_best=false",
               "train.log_every=1",
               "checkpoint.min_seconds=0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Texts network(const Texts& more = {}) {
  Texts all = assignments({"data.path=synthetic:moons", "model.name=mlp", "model.hidden=[8]",
                           "train.precision=float32", "optimizer.weight_decay=1e-4"});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<double> losses_of(const Recorder& r) {
  std::vector<double> all;
  for (const auto& record : r.records) {
    if (record.split == "train" && record.values.size() == 3)
      all.push_back(record.values[0].second);
  }
  return all;
}

// Softmax regression with an L2 penalty of the weights: x holds weight [classes, inputs], bias.
ScalarFn softmax_regression(const data::Dataset& rows, std::int64_t classes, double l2) {
  const auto x = rows.features.cast(DType::float64);
  return [x, y = rows.targets, classes, l2](ValueSpan p) {
    const auto inputs = x.shape()[1];
    const auto w = reshape(slice(p[0], 0, 0, classes * inputs), {classes, inputs}),
               b = slice(p[0], 0, classes * inputs, classes * (inputs + 1));
    const auto logits = matmul(constant(x), w, false, true) + b;
    return mean(softmax_cross_entropy(logits, constant(y))) + 0.5 * l2 * sum(square(w));
  };
}

TEST(LbfgsTraining, ReachesTheOptimumOfLogisticRegression) {
  Folder folder;
  Recorder r;
  train::Job job = train::prepare(config_of(assignments()), r);
  train::run(job, {folder / "run"}, r);
  const auto classes = static_cast<std::int64_t>(job.data.transform.outputs());
  const auto f = softmax_regression(job.data.train, classes, 0.01);
  const auto size = classes * (job.data.train.features.shape()[1] + 1);
  const auto least = optim::minimize(f, std::vector<double>(static_cast<std::size_t>(size), 0.1),
                                     optim::minimizer("newton"));
  ASSERT_TRUE(least.converged) << least.reason;

  const auto saved = io::load_safetensors(folder / "run/model.safetensors");
  std::vector<double> x;
  for (const char* part : {"weight", "bias"}) {
    for (const auto& [name, array] : saved.tensors) {
      if (!name.ends_with(part)) continue;
      for (const double v : array.to_vector()) x.push_back(v);
    }
  }
  ASSERT_EQ(std::ssize(x), size);
  const EagerScope scope;
  const double reached = f(Values{computed({Array::from(x, {size})}, false)}).item();
  EXPECT_NEAR(reached, least.value, 1e-8);
  // The run did not begin there.
  EXPECT_GT(losses_of(r).front(), least.value + 0.1);
}

// What is validated and saved is the accepted point, not the trial that the parameters are.
TEST(LbfgsTraining, SavesTheAcceptedPoint) {
  Folder folder;
  Recorder r;
  const std::string dir = folder / "run";
  train::Job job = train::prepare(
      config_of(network({"train.epochs=31", "optimizer.c2=0.1", "optimizer.lr=3"})), r);
  train::run(job, {dir}, r);
  const auto checkpoint = io::load_safetensors(newest_state(dir));
  const auto saved = train::SavedModel::load(dir);
  const Array base = [&] {
    for (const auto& [name, array] : checkpoint.tensors) {
      if (name.ends_with("lbfgs.base")) return array;
    }
    return Array();
  }();
  std::int64_t at = 0, differing = 0;
  for (const auto& [name, array] : saved.variables) {
    for (const double x : array.to_vector()) EXPECT_EQ(x, base.item(at++)) << name;
    differing += identical(array, checkpoint.at("parameters/" + name, dir)) ? 0 : 1;
  }
  EXPECT_EQ(at, base.size());
  EXPECT_GT(differing, 0);
  // Its loss on the training rows is the lowest that was seen (another number of shards adds up in
  // another order, and the penalty is in no told loss).
  auto model = saved;
  const double own = train::evaluate(model, job.data.train, 1)[0].second;
  const auto told = losses_of(r);
  EXPECT_NEAR(own, *std::ranges::min_element(told), 1e-3);
}

// ---- accumulation ----

TEST(LbfgsTraining, AccumulatedBatchesAreTheFullBatch) {
  const auto trained = [](const Texts& more) {
    Recorder r;
    Texts all = more;
    all.emplace_back("train.epochs=12");
    run(assignments(all), {}, r);
    return losses_of(r);
  };
  const auto whole = trained({});
  const auto parts = trained({"train.batch_size=50", "train.accumulate=5"});
  ASSERT_EQ(whole.size(), 12u);
  ASSERT_EQ(parts.size(), 12u);
  // Sums in another order: 1e-16, which a division by y's blows up.
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], parts[i], 1e-10) << i;
}

// ---- losses that are not finite ----

// In float32 the first trial's squares overflow.
Texts overflowing(const Texts& more = {}) {
  Texts all = assignments({"data.path=synthetic:sine", "train.precision=float32",
                           "optimizer.lr=1e25", "train.epochs=60"});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(LbfgsTraining, StepsBackFromALossThatIsNotFinite) {
  for (const Texts& batches : {Texts{}, Texts{"train.batch_size=50", "train.accumulate=5"},
                               Texts{"optimizer.max_evaluations=8"}}) {
    Folder folder;
    Recorder r;
    const auto outcome = run(overflowing(batches), {folder / "run"}, r);
    EXPECT_EQ(outcome.reason, "finished");
    const auto told = losses_of(r);
    ASSERT_EQ(told.size(), 60u);
    // A trial that overflows is told as the accepted point.
    EXPECT_EQ(told[1], told[0]);
    for (const double loss : told) EXPECT_TRUE(std::isfinite(loss));
    // With 8 evaluations the first search ends in vain, and the next goes on from there.
    EXPECT_LT(*std::ranges::min_element(told), 0.9 * told[0]);
    for (const auto& [name, array] : io::load_safetensors(newest_state(folder / "run")).tensors) {
      if (!name.starts_with("optimizer/")) continue;
      for (const double x : array.to_vector()) ASSERT_TRUE(std::isfinite(x)) << name;
    }
  }
}

TEST(LbfgsTraining, ReportsAStartThatIsNotFinite) {
  Folder folder;
  {
    std::ofstream file(folder / "huge.csv");
    file << "x,y\n";
    for (int i = 0; i < 60; ++i)
      file << i << "," << (i * i % 17 - 7) << "e30"
           << "\n";
  }
  for (const Texts& batches : {Texts{}, Texts{"train.batch_size=10", "train.accumulate=5"}}) {
    Texts all = {"data.path=" + (folder / "huge.csv"), "data.target=y",
                 "data.normalize_target=false", "data.task=regression"};
    all.insert(all.end(), batches.begin(), batches.end());
    Recorder r;
    try {
      run(overflowing(all), {}, r);
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::diverged);
      EXPECT_THAT(e.what(), HasSubstr("step 1 "));
    }
  }
}

// ---- batches ----

TEST(LbfgsTraining, SaysThatASearchNeedsFullBatches) {
  const auto told = [](const Texts& more) {
    Recorder r;
    return error_of([&] { train::prepare(config_of(assignments(more)), r); });
  };
  EXPECT_THAT(told({"train.batch_size=32"}),
              testing::AllOf(HasSubstr("compares the losses of different steps"),
                             HasSubstr("32 of 240 rows"), HasSubstr("train.batch_size=full"),
                             HasSubstr("train.accumulate=8")));
  EXPECT_THAT(told({"train.batch_size=32", "train.accumulate=7"}), HasSubstr("224 of 240 rows"));
  EXPECT_THAT(told({"train.batch_size=50", "train.accumulate=5", "train.drop_last=true"}),
              HasSubstr("drop_last"));
  EXPECT_THAT(told({"train.batch_schedule=[\"3:64\"]"}), HasSubstr("batch_schedule"));
  for (const Texts& good :
       {Texts{"train.batch_size=32", "train.accumulate=8"}, Texts{"train.batch_size=240"},
        Texts{"train.batch_size=1000"},
        Texts{"train.batch_size=60", "train.accumulate=4", "train.drop_last=true"}})
    EXPECT_EQ(told(good), "no error");
  EXPECT_THAT(told({"data.augment=[\"mixup:0.2\"]"}), HasSubstr("augmentation changes the rows"));
}

TEST(LbfgsTraining, WarnsWhereGradientsOfBatchesAreCompared) {
  const auto warned = [](const Texts& more) {
    Recorder r;
    Texts all = {"optimizer.line_search=none"};
    all.insert(all.end(), more.begin(), more.end());
    train::prepare(config_of(assignments(all)), r);
    return r.said("compares the gradients of different steps");
  };
  EXPECT_TRUE(warned({"train.batch_size=32"}));
  EXPECT_FALSE(warned({}));
  EXPECT_FALSE(warned({"train.batch_size=32", "optimizer.pairs=same_batch"}));
}

TEST(LbfgsTraining, LearnsFromSmallBatches) {
  Recorder r;
  run(assignments({"optimizer.line_search=none", "optimizer.pairs=same_batch", "optimizer.lr=0.5",
                   "schedule.name=cosine", "train.batch_size=32", "train.epochs=10"}),
      {}, r);
  Recorder full;
  run(assignments(), {}, full);
  // Near the optimum, in 80 steps of 32 rows.
  EXPECT_NEAR(r.last("train", "loss"), full.last("train", "loss"), 0.05);
}

// ---- resume ----

class LbfgsResumed : public testing::TestWithParam<Texts> {};
INSTANTIATE_TEST_SUITE_P(
    , LbfgsResumed,
    testing::Values(Texts{"optimizer.c2=0.05", "optimizer.lr=4", "train.epochs=20"},
                    Texts{"optimizer.c2=0.05", "train.batch_size=50", "train.accumulate=5",
                          "train.epochs=20"},
                    Texts{"optimizer.line_search=none", "optimizer.lr=0.5", "train.epochs=20"},
                    Texts{"optimizer.line_search=none", "optimizer.pairs=same_batch",
                          "train.batch_size=40", "train.epochs=7", "optimizer.lr=0.2"}));

// Some of these stops lie inside a line search: two steps after an accepted point are not both new.
TEST_P(LbfgsResumed, EqualsTheUninterruptedRun) {
  Folder folder;
  Recorder r;
  run(network(GetParam()), {folder / "whole", false, 1}, r);
  for (const std::int64_t stop : {3, 4, 13}) {
    const std::string dir = folder / ("stopped-" + std::to_string(stop));
    Recorder first, second;
    first.on_record = [&](const track::Record& record) {
      if (record.step == stop) train::request_stop(SIGINT);
    };
    EXPECT_EQ(run(network(GetParam()), {dir, false, 2}, first).exit_code, 130);
    EXPECT_EQ(run(network(GetParam()), {dir, true, 1}, second).exit_code, 0);
    expect_same_end(folder / "whole", dir);
  }
}

TEST(LbfgsTraining, CompiledEqualsEager) {
  for (const Texts& more :
       {Texts{"optimizer.c2=0.1"}, Texts{"optimizer.line_search=none", "optimizer.pairs=same_batch",
                                         "optimizer.lr=0.2", "train.batch_size=80"}}) {
    Folder folder;
    Recorder r;
    auto all = more;
    all.emplace_back("train.epochs=15");
    run(network(all), {folder / "compiled"}, r);
    all.emplace_back("train.eager=true");
    run(network(all), {folder / "eager"}, r);
    EXPECT_EQ(read_file(folder / "compiled/model.safetensors"),
              read_file(folder / "eager/model.safetensors"));
  }
}

}  // namespace
}  // namespace descent::test
