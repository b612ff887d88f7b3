// Runs whose embedding is sparse against the same runs with whole gradients.
#include <gmock/gmock.h>

#include <csignal>

#include "descent/io/safetensors.h"
#include "descent/optim/lazy_rows.h"
#include "descent/train/averaged.h"
#include "descent/train/setup.h"
#include "descent/train/step.h"
#include "tests/support/errors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Options = std::vector<std::string>;

// Parts with letters of their own, so that most rows wait for long.
std::string spells() {
  const char* parts[] = {"abcabdab.", "defdegfe,", "hijhkjih;", "lmnlonml:", "0123210-"};
  std::string text;
  for (int i = 0; i < 420; ++i) text += parts[(i / 60 + i % 7 / 6) % 5];
  return text;
}

Options operator+(Options a, const Options& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Sparse : public testing::Test {
 protected:
  Sparse() { write_file_atomic(folder_ / "text.txt", spells()); }

  // About 190 steps on windows one after another. Fewer tokens in a batch than rows in the table:
  // a recurrent layer that sees more multiplies the table first, and rounds otherwise.
  Options base(const Options& more = {}) const {
    return Options{"data.path=" + folder_ / "text.txt",
                   "data.context=8",
                   "model.name=char_rnn",
                   "model.cell=gru",
                   "model.layers=1",
                   "model.units=6",
                   "model.embedding=5",
                   "optimizer.lr=0.02",
                   "schedule.name=cosine",
                   "schedule.warmup_steps=10",
                   "train.epochs=1",
                   "train.batch_size=2",
                   "train.shuffle=false",
                   "train.shards=2",
                   "train.log_every=1",
                   "checkpoint.min_seconds=0"} +
           more;
  }
  std::string train_in(const std::string& name, const Options& options, int threads = 1) {
    Recorder recorder;
    run(options, {folder_ / name, false, threads}, recorder);
    steps_ = 0;
    for (const auto& r : recorder.records) steps_ = std::max(steps_, r.step);
    valid_loss_ = recorder.last("valid", "loss");
    return read_file(folder_ / (name + "/model.safetensors"));
  }
  static std::string complaint(const Options& options) {
    return error_of([&] {
      Recorder recorder;
      run(options, {}, recorder);
    });
  }

  Folder folder_;
  std::int64_t steps_ = 0;
  double valid_loss_ = 0;
};

const std::vector<Options>& optimizers() {
  static const std::vector<Options> all = {
      {"optimizer.name=sgd", "optimizer.lr=0.5"},
      {"optimizer.name=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01"},
      {"optimizer.name=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"},
      {"optimizer.name=adam"},
      {"optimizer.name=adam", "optimizer.weight_decay=0.01"},
      {"optimizer.name=adamw", "optimizer.weight_decay=0.1"},
      {"optimizer.name=adagrad"},
      {"optimizer.name=rmsprop", "optimizer.clip_value=0.1"}};
  return all;
}

TEST_F(Sparse, GivesTheWeightsOfTheDenseRun) {
  for (const auto& optimizer : optimizers()) {
    for (const char* shards : {"train.shards=1", "train.shards=2"}) {
      const auto options = base(optimizer + Options{shards});
      const auto dense = train_in("dense", options);
      const double loss = valid_loss_;
      EXPECT_TRUE(dense == train_in("sparse", options + Options{"model.sparse=true"}))
          << optimizer.back() << " " << shards;
      EXPECT_EQ(loss, valid_loss_);
      EXPECT_GE(steps_, 100);
    }
  }
}

// The gradient's norm is summed in another order, and so is its rounding.
TEST_F(Sparse, ClipsByTheNormOfTheDenseGradient) {
  const auto options = base({"optimizer.name=adam", "optimizer.clip_norm=0.05",
                             "train.precision=float64", "train.restore_best=false"});
  train_in("dense", options);
  train_in("sparse", options + Options{"model.sparse=true"});
  const auto a = io::load_safetensors(folder_ / "dense/model.safetensors"),
             b = io::load_safetensors(folder_ / "sparse/model.safetensors");
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    for (std::int64_t k = 0; k < a.tensors[i].second.size(); ++k) {
      // 1e-16 of the norm in each of the steps, which a step's curvature may multiply.
      EXPECT_NEAR(a.tensors[i].second.item(k), b.tensors[i].second.item(k), 1e-12);
    }
  }
}

TEST_F(Sparse, DoesNotDependOnThreads) {
  const auto options = base(
      {"model.sparse=true", "optimizer.clip_norm=0.1", "train.shards=4", "train.batch_size=8"});
  const auto one = train_in("one", options);
  EXPECT_TRUE(one == train_in("two", options, 2));
}

TEST_F(Sparse, IsTheSameOperationByOperation) {
  const auto options = base({"model.sparse=true", "optimizer.clip_norm=0.1", "train.steps=40"});
  const auto compiled = train_in("compiled", options);
  EXPECT_TRUE(compiled == train_in("eager", options + Options{"train.eager=true"}));
}

TEST_F(Sparse, GoesOnBitForBit) {
  for (const char* name : {"optimizer.name=adamw", "optimizer.name=sgd"}) {
    Options options = base({"model.sparse=true", "optimizer.clip_norm=0.1", name});
    if (std::string(name).ends_with("sgd")) options.emplace_back("optimizer.momentum=0.9");
    fs::remove_all(folder_ / "whole");
    train_in("whole", options);
    for (const std::int64_t stop : {1, 57}) {
      const std::string dir = folder_ / ("stopped-" + std::to_string(stop));
      fs::remove_all(dir);
      Recorder first, second;
      first.on_record = [&](const track::Record& r) {
        if (r.step == stop) train::request_stop(SIGINT);
      };
      EXPECT_EQ(run(options, {dir}, first).exit_code, 130);
      EXPECT_EQ(run(options, {dir, true}, second).exit_code, 0);
      const auto x = io::load_safetensors(newest_state(folder_ / "whole")),
                 y = io::load_safetensors(newest_state(dir));
      ASSERT_EQ(x.tensors.size(), y.tensors.size());
      for (std::size_t i = 0; i < x.tensors.size(); ++i)
        EXPECT_TRUE(identical(x.tensors[i].second, y.tensors[i].second)) << x.tensors[i].first;
      EXPECT_TRUE(read_file(folder_ / "whole/model.safetensors") ==
                  read_file(dir + "/model.safetensors"));
    }
  }
}

// What the watchdog sees is what it sees of the dense run, and looking changes nothing.
TEST_F(Sparse, IsObservedAsTheDenseRun) {
  const auto observed = [&](bool sparse, bool look) {
    Recorder recorder;
    train::Job job =
        train::prepare(config_of(base({"optimizer.name=adamw", "optimizer.clip_norm=0.1",
                                       sparse ? "model.sparse=true" : "model.sparse=false"})),
                       recorder);
    train::TrainState state = train::initial_state(job, 1);
    const auto loader = train::make_loader(job, 1, 0);
    train::TrainStep step(job.model, job.loss, job.optimizer, job.variables, state,
                          train::step_options(job, 1));
    std::vector<train::Observation> seen(45);
    for (auto& one : seen) step.run(loader->next(), look ? &one : nullptr);
    return std::pair(seen, state.parameters);
  };
  const auto [dense, unused] = observed(false, true);
  const auto [sparse, looked] = observed(true, true);
  for (std::size_t t = 0; t < dense.size(); ++t) {
    for (std::size_t i = 0; i < dense[t].parameters.size(); ++i) {
      const auto &a = dense[t].parameters[i], &b = sparse[t].parameters[i];
      EXPECT_EQ(a.name, b.name);
      // float32 sums in another order, over 45 steps
      EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-4 * a.gradient_norm);
      EXPECT_NEAR(a.weight_norm, b.weight_norm, 1e-4 * a.weight_norm);
      EXPECT_NEAR(a.update_norm, b.update_norm, 1e-3 * a.update_norm) << a.name << " " << t;
    }
  }
  const auto plain = observed(true, false).second;
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_TRUE(identical(plain[i].second, looked[i].second)) << plain[i].first;
}

// A frozen table has no gradient at all.
TEST_F(Sparse, MayBeFrozen) {
  const auto options = base({"train.freeze=[\"embedding.*\"]", "train.steps=40"});
  const auto dense = train_in("dense", options);
  EXPECT_TRUE(dense == train_in("sparse", options + Options{"model.sparse=true"}));
}

TEST_F(Sparse, RefusesWhatNeedsTheWholeGradient) {
  const auto refused = [&](const Options& more) {
    return complaint(base(Options{"model.sparse=true"} + more));
  };
  EXPECT_THAT(refused({"model.tied=true", "model.embedding=6"}),
              AllOf(HasSubstr("\"embedding.weight\" is sparse and is used in two places"),
                    HasSubstr("set sparse = false, or give each place weights of its own")));
  EXPECT_THAT(refused({"optimizer.name=lamb"}),
              HasSubstr("use sgd, adam, adamw, adagrad or rmsprop"));
  EXPECT_THAT(refused({"optimizer.ema_decay=0.9"}), HasSubstr("averages of the weights"));
  EXPECT_THAT(refused({"optimizer.sam=0.1"}), HasSubstr("\"embedding.weight\" is sparse"));
  EXPECT_THAT(refused({"optimizer.clip_each=0.1"}), HasSubstr("clip_norm and clip_value"));
  EXPECT_THAT(refused({"train.accumulate=2"}), HasSubstr("train.accumulate"));
  EXPECT_THAT(refused({"train.rematerialise=true"}), HasSubstr("train.rematerialise"));
  EXPECT_THAT(complaint({"data.path=" + folder_ / "text.txt", "data.context=8", "model.name=gpt",
                         "model.sparse=true", "train.epochs=1"}),
              HasSubstr("\"wte.weight\" is sparse and is used in two places"));
}

}  // namespace
}  // namespace descent::test
