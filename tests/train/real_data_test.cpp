// Known accuracy on real data. Floors are a few standard errors below what the runs reach, and at
// what the literature calls usual for such models.
#include "tests/support/real_data.h"

#include <gmock/gmock.h>

#include "tests/train/support.h"

namespace descent::test {
namespace {

double test_metric(std::vector<std::string> assignments, const std::string& metric) {
  Recorder r;
  run(assignments, {}, r);
  return r.last("test", metric);
}

TEST(RealDataSlow, FashionMnistMainJob) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(path)) GTEST_SKIP() << "no Fashion-MNIST: apt-get install dataset-fashion-mnist";
  EXPECT_GE(test_metric({"data.path=" + path, "data.split=[0.95,0.05]", "model.name=cnn",
                         "train.epochs=4", "train.batch_size=128", "train.shards=2",
                         "optimizer.lr=3e-3", "schedule.name=one_cycle"},
                        "accuracy"),
            0.90);
}

TEST(RealDataSlow, MnistSmallCnnThreeEpochs) {
  DESCENT_NEED_DATA(path, "mnist");
  EXPECT_GE(test_metric({"data.path=" + path, "data.split=[0.95,0.05]", "model.name=cnn",
                         "train.epochs=3", "train.batch_size=128", "train.shards=2",
                         "optimizer.lr=3e-3", "schedule.name=one_cycle"},
                        "accuracy"),
            0.985);
}

// 7,000 of the 10,000 test images to learn from, 3,000 to test: a standard error of 0.003.
TEST(RealDataSlow, MnistSmallResnet) {
  DESCENT_NEED_DATA(path, "mnist/t10k-images-idx3-ubyte.gz");
  DESCENT_NEED_DATA(labels, "mnist/t10k-labels-idx1-ubyte.gz");
  EXPECT_GE(test_metric({"data.path=" + path, "data.targets=" + labels, "data.split=[0.7,0,0.3]",
                         "model.name=resnet", "model.depth=8", "model.width=8", "train.epochs=4",
                         "train.batch_size=64", "train.shards=2", "optimizer.lr=5e-3",
                         "schedule.name=one_cycle"},
                        "accuracy"),
            0.96);
}

// One pass over 9,000 images, 1,000 to test: a standard error of 0.016 around 0.4; guessing is 0.1.
TEST(RealDataSlow, Cifar10Resnet20OneEpoch) {
  DESCENT_NEED_DATA(path, "cifar10/data_batch_1.bin.zst");
  EXPECT_GE(test_metric({"data.path=" + path, "data.split=[0.9,0,0.1]", "model.name=resnet",
                         "train.epochs=1", "train.batch_size=128", "train.shards=2",
                         "optimizer.lr=1e-2", "schedule.name=one_cycle"},
                        "accuracy"),
            0.30);
}

TEST(RealData, Digits) {
  DESCENT_NEED_DATA(path, "digits/digits.csv.gz");
  EXPECT_GE(test_metric({"data.path=" + path, "data.target=last", "model.name=mlp",
                         "train.epochs=30", "optimizer.lr=3e-3"},
                        "accuracy"),
            0.95);
}

TEST(RealData, Iris) {
  DESCENT_NEED_DATA(path, "iris/iris.csv");
  // 45 test rows: three errors are 0.067.
  EXPECT_GE(test_metric({"data.path=" + path, "data.target=c4", "data.split=[0.6,0.1,0.3]",
                         "model.name=mlp", "train.epochs=60", "optimizer.lr=5e-3"},
                        "accuracy"),
            0.93);
}

TEST(RealData, Wdbc) {
  DESCENT_NEED_DATA(path, "breast-cancer-wdbc/wdbc.data");
  EXPECT_GE(test_metric({"data.path=" + path, "data.target=c1", "data.drop=[\"c0\"]",
                         "model.name=linear", "train.epochs=60", "optimizer.lr=1e-2"},
                        "accuracy"),
            0.94);
}

TEST(RealData, Adult) {
  DESCENT_NEED_DATA(path, "adult/adult.data");
  EXPECT_GE(test_metric({"data.path=" + path, "data.target=last", "model.name=mlp",
                         "train.epochs=5", "train.batch_size=128"},
                        "accuracy"),
            0.85);
}

TEST(RealData, CaliforniaHousing) {
  DESCENT_NEED_DATA(path, "california-housing/housing.csv");
  EXPECT_GE(test_metric({"data.path=" + path, "data.target=median_house_value",
                         "data.normalize_target=true", "model.name=mlp", "train.epochs=30",
                         "train.batch_size=128", "schedule.name=cosine"},
                        "r2"),
            0.72);
}

TEST(RealData, HeartScaleLibsvm) {
  DESCENT_NEED_DATA(path, "libsvm/heart_scale");
  // 27 test rows; a linear model is right on about 84 % of all rows.
  EXPECT_GE(test_metric(
                {"data.path=" + path, "model.name=linear", "train.epochs=60", "optimizer.lr=1e-2"},
                "accuracy"),
            0.7);
}

// X = 1..5, y = 3 4 2 5 6: 1000 steps of gradient descent with rate 0.01 from zero on the mean
// squared error. The exact solution is 0.7 and 1.9; after 1000 steps slope 0.71, intercept 1.85.
TEST(LinearRegression, TheTextbookExample) {
  Folder folder;
  std::ofstream(folder / "line.csv") << "x,y\n1,3\n2,4\n3,2\n4,5\n5,6\n";
  Recorder r;
  run({"data.path=" + (folder / "line.csv"), "data.target=y", "data.task=regression",
       "data.split=[1,0]", "data.normalize=none", "data.normalize_target=false",
       "model.name=linear", "model.init=zeros", "loss.name=mse", "optimizer.name=sgd",
       "optimizer.lr=0.01", "train.steps=1000", "train.batch_size=full"},
      {folder / "run"}, r);
  const auto saved = train::SavedModel::load(folder / "run");
  EXPECT_NEAR(saved.variables[0].second.item(), 0.71, 0.005);
  EXPECT_NEAR(saved.variables[1].second.item(), 1.85, 0.005);
}

}  // namespace
}  // namespace descent::test
