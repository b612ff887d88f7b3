// Augmentation in training: resume is bit-exact, threads and prefetching change nothing, and what
// is measured is measured on rows as they are.
#include <gmock/gmock.h>

#include <csignal>

#include "descent/base/random.h"
#include "descent/io/safetensors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

// CIFAR-10 files of noise whose colour tells the class: a bit of it in each channel.
void write_images(const Folder& folder) {
  RandomStream random(5);
  for (const auto& [name, rows] : {std::pair("data_batch_1.bin", 100), {"test_batch.bin", 20}}) {
    std::string bytes;
    for (int i = 0; i < rows; ++i) {
      const int label = i % 8;
      bytes += static_cast<char>(label);
      for (int k = 0; k < 3072; ++k) {
        const int level = (label >> k / 1024 & 1) * 100;
        bytes += static_cast<char>(level + static_cast<int>(random.below(60)));
      }
    }
    write_file_atomic(folder / name, bytes);
  }
}

std::vector<std::string> assignments(const Folder& folder,
                                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"data.path=" + folder.string(),
                                  "data.augment=[crop:4,flip,rotate:10,cutout:8,mixup:0.3]",
                                  "data.split=[0.8,0.2]",
                                  "model.name=mlp",
                                  "model.hidden=[32]",
                                  "optimizer.name=adam",
                                  "train.epochs=3",
                                  "train.batch_size=16",
                                  "train.log_every=1",
                                  "train.shards=2",
                                  "checkpoint.min_seconds=0"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string weights(const std::string& directory) {
  return read_file(directory + "/model.safetensors");
}

class AugmentedRun : public testing::Test {
 protected:
  void SetUp() override { write_images(folder_); }
  // The weights at the end of a run.
  std::string end_of(const std::string& name, const std::vector<std::string>& more = {}) {
    Recorder r;
    run(assignments(folder_, more), {folder_ / name}, r);
    return weights(folder_ / name);
  }
  Folder folder_;
};

TEST_F(AugmentedRun, ResumeEqualsTheUninterruptedRun) {
  const std::string whole = end_of("whole");
  for (const std::int64_t stop : {1, 4, 5, 8, 14}) {  // 5 steps an epoch
    const std::string dir = folder_ / ("stopped-" + std::to_string(stop));
    Recorder first, second;
    first.on_record = [&](const track::Record& r) {
      if (r.step == stop) train::request_stop(SIGINT);
    };
    EXPECT_EQ(run(assignments(folder_), {dir}, first).exit_code, 130) << stop;
    run(assignments(folder_), {dir, true}, second);
    EXPECT_EQ(weights(dir), whole) << stop;
    const auto a = io::load_safetensors(newest_state(folder_ / "whole")),
               b = io::load_safetensors(newest_state(dir));
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (std::size_t i = 0; i < a.tensors.size(); ++i) {
      EXPECT_TRUE(identical(a.tensors[i].second, b.tensors[i].second)) << a.tensors[i].first;
    }
  }
}

TEST_F(AugmentedRun, DoesNotDependOnPrefetchingButOnWhatIsAskedFor) {
  const std::string whole = end_of("whole");
  EXPECT_EQ(end_of("plain", {"data.prefetch=0"}), whole);
  EXPECT_EQ(end_of("ahead", {"data.prefetch=5"}), whole);
  EXPECT_EQ(end_of("eager", {"train.eager=true"}), whole);
  EXPECT_NE(end_of("other", {"data.augment=[crop:4,flip,rotate:10,cutout:8]"}), whole);
  EXPECT_NE(end_of("none", {"data.augment=[]"}), whole);
  EXPECT_NE(end_of("seed", {"seed=8"}), whole);
}

// Nothing is learnt with a rate of 0: the test rows' loss is that of the model as initialised,
// with augmentation or without.
TEST_F(AugmentedRun, ValidAndTestRowsStayAsTheyAre) {
  const auto losses = [&](const std::string& augment) {
    Recorder r;
    run(assignments(folder_, {"optimizer.name=sgd", "optimizer.lr=0", "train.epochs=1",
                              "data.augment=" + augment}),
        {}, r);
    return std::vector{r.last("valid", "loss"), r.last("test", "loss"), r.last("train", "loss")};
  };
  const auto plain = losses("[]"), changed = losses("[crop:4,cutout:8,mixup:0.3]");
  EXPECT_EQ(plain[0], changed[0]);
  EXPECT_EQ(plain[1], changed[1]);
  EXPECT_NE(plain[2], changed[2]);
}

TEST_F(AugmentedRun, LearnsFromMixedRows) {
  Recorder r;
  run(assignments(folder_, {"train.epochs=30", "optimizer.lr=0.003"}), {}, r);
  EXPECT_GE(r.last("test", "accuracy"), 0.9);
}

TEST_F(AugmentedRun, MixupWantsALossThatTakesProbabilities) {
  Recorder r;
  try {
    run(assignments(folder_, {"loss.name=hinge"}), {}, r);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_THAT(e.what(),
                testing::AllOf(testing::HasSubstr("data.augment"), testing::HasSubstr("\"hinge\""),
                               testing::HasSubstr("cross_entropy")));
  }
}

}  // namespace
}  // namespace descent::test
