// Optimizers with matrices for state through the trainer: they learn, whatever the number of
// threads and however often they are stopped.
#include <gmock/gmock.h>

#include <csignal>

#include "descent/io/safetensors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using Assignments = std::vector<std::string>;

class MatrixOptimizer : public testing::TestWithParam<const char*> {};

Assignments assignments(const std::string& name) {
  return {"data.path=synthetic:spirals",
          "data.rows=330",
          "model.name=mlp",
          "model.hidden=[16,16]",
          "train.epochs=20",
          "train.batch_size=32",
          "train.shards=4",
          "train.log_every=1",
          "checkpoint.min_seconds=0",
          "optimizer.refresh=5",
          "optimizer.name=" + name};
}

TEST_P(MatrixOptimizer, LearnsWithAnyNumberOfThreadsAndResumes) {
  Folder folder;
  Recorder one, two, stopped, resumed;
  run(assignments(GetParam()), {folder / "one", false, 1}, one);
  run(assignments(GetParam()), {folder / "two", false, 2}, two);
  stopped.on_record = [](const track::Record& r) {
    if (r.step == 23) train::request_stop(SIGINT);
  };
  EXPECT_EQ(run(assignments(GetParam()), {folder / "stopped", false, 1}, stopped).exit_code, 130);
  run(assignments(GetParam()), {folder / "stopped", true, 2}, resumed);
  const auto model = [&](const char* run) {
    return read_file(folder / run + std::string("/model.safetensors"));
  };
  EXPECT_EQ(model("one"), model("two"));
  EXPECT_EQ(model("one"), model("stopped"));
  EXPECT_LT(one.last("train", "loss"), 0.62);  // from log 2 = 0.69
}

INSTANTIATE_TEST_SUITE_P(, MatrixOptimizer, testing::Values("shampoo", "soap", "kfac"),
                         [](const auto& p) { return std::string(p.param); });

// Sums of gradients are no graph in which layers could be found.
TEST(Kfac, RefusesAccumulatedGradients) {
  Recorder r;
  auto all = assignments("kfac");
  all.emplace_back("train.accumulate=2");
  try {
    run(all, {}, r);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("train.accumulate"));
  }
}

// The factors of every layer are filled: the layers were found.
TEST(Kfac, FindsTheLayersOfAModel) {
  Folder folder;
  Recorder r;
  auto all = assignments("kfac");
  all.emplace_back("train.epochs=1");
  run(all, {folder / "run"}, r);
  int factors = 0;
  for (const auto& [name, array] : io::load_safetensors(newest_state(folder / "run")).tensors) {
    if (name.find("kfac.inverse") == std::string::npos) continue;
    ++factors;
    EXPECT_GT(array.item(0), 0) << name;
  }
  EXPECT_EQ(factors, 6);  // two for each of three layers
}

}  // namespace
}  // namespace descent::test
