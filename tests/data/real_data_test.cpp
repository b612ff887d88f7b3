// The real data sets: every count of shared/data/README.md must come out.
#include <cmath>

#include "descent/data/loader.h"
#include "descent/data/pipeline.h"
#include "descent/data/registry.h"
#include "tests/data/support.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Values = std::vector<std::pair<std::string, OptionValue>>;
using Counts = std::vector<std::int64_t>;

Splits load_set(const std::string& name, Values values = {}) {
  values.emplace_back("path", name.starts_with("/") ? name : data_folder() + "/" + name);
  return load(with(std::move(values)), 1);
}

Counts class_counts(const Splits& splits, bool test_too) {
  Counts counts(static_cast<std::size_t>(splits.classes));
  for (const auto* part : {&splits.train, &splits.valid, &splits.test}) {
    if (part == &splits.test && !test_too) continue;
    if (!part->targets) continue;
    for (const auto k : part->targets.as<std::int64_t>()) ++counts[static_cast<std::size_t>(k)];
  }
  return counts;
}

struct Case {
  std::string file;
  Values values;
  std::int64_t rows, features;
  Counts classes;  // empty: regression
};

class RealData : public testing::TestWithParam<Case> {};

TEST_P(RealData, HasTheCountsOfTheReadme) {
  const Case& c = GetParam();
  SKIP_WITHOUT(data_folder() + "/" + c.file);
  const Splits splits = load_set(c.file, c.values);
  EXPECT_EQ(splits.train.rows() + splits.valid.rows() + splits.test.rows(), c.rows);
  EXPECT_EQ(splits.sample_shape, Shape{c.features});
  EXPECT_EQ(splits.task, c.classes.empty() ? Task::regression : Task::classification);
  if (!c.classes.empty()) {
    EXPECT_EQ(class_counts(splits, true), c.classes);
  }
  for (const float x : splits.train.features.as<float>()) ASSERT_TRUE(std::isfinite(x));
}

INSTANTIATE_TEST_SUITE_P(
    , RealData,
    testing::Values(
        Case{"iris/iris.csv", {}, 150, 4, {50, 50, 50}},
        Case{"breast-cancer-wdbc/wdbc.data",
             {{"target", "c1"}, {"drop", std::vector<std::string>{"c0"}}},
             569,
             30,
             {357, 212}},
        Case{"digits/digits.csv.gz",
             {},
             1797,
             64,
             {178, 182, 177, 183, 181, 182, 181, 179, 174, 180}},
        Case{"pima-indians-diabetes/pima-indians-diabetes.csv", {}, 768, 8, {500, 268}},
        Case{"mammography/mammography.csv", {}, 11183, 6, {10923, 260}},
        Case{"mammography/mammography.csv", {{"quote", "'"}}, 11183, 6, {10923, 260}},
        Case{"adult/adult.data", {}, 32561, 108, {24720, 7841}},
        Case{"adult/adult.test", {}, 16281, 107, {12435, 3846}},
        Case{"bank-marketing/bank-full.csv", {}, 45211, 51, {39922, 5289}},
        Case{"titanic/titanic.csv", {{"target", "survived"}}, 891, 35, {549, 342}},
        Case{"wine-quality/winequality-red.csv", {{"task", "regression"}}, 1599, 11, {}},
        Case{"wine-quality/winequality-white.csv", {{"task", "regression"}}, 4898, 11, {}},
        Case{"california-housing/housing.csv", {{"target", "median_house_value"}}, 20640, 13, {}},
        Case{"movielens-latest-small/ratings.csv", {{"target", "rating"}}, 100836, 3, {}},
        Case{"timeseries/pollution.csv", {{"target", "pm2.5"}}, 43824 - 2067, 15, {}},
        Case{"libsvm/a9a", {}, 32561, 123, {24720, 7841}},
        Case{"libsvm/a9a.t", {}, 16281, 122, {12435, 3846}},
        Case{"libsvm/w8a", {}, 49749, 300, {48270, 1479}},
        Case{"libsvm/heart_scale", {}, 270, 13, {150, 120}}),
    [](const auto& one) {
      std::string name = one.param.file + std::to_string(one.index);
      for (auto& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

TEST(RealTables, TextsAndSeriesHaveTheirRows) {
  struct Rows {
    const char* file;
    Values values;
    std::int64_t rows;
  };
  for (const auto& [file, values, rows] : {Rows{"sst2/train.tsv", {{"quote", ""}}, 6920},
                                           {"sst2/dev.tsv", {{"quote", ""}}, 872},
                                           {"sst2/test.tsv", {{"quote", ""}}, 1821},
                                           {"timeseries/airline-passengers.csv", {}, 144},
                                           {"timeseries/daily-min-temperatures.csv", {}, 3650},
                                           {"timeseries/monthly-sunspots.csv", {}, 2820},
                                           {"timeseries/pollution.csv", {}, 43824},
                                           {"movielens-latest-small/movies.csv", {}, 9742}}) {
    const std::string path = data_folder() + "/" + file;
    SKIP_WITHOUT(path);
    const Table table = read_tables(path, with(values)).train;
    EXPECT_EQ(table.rows, rows) << file;
    EXPECT_THAT(table.warnings, ElementsAre()) << file;
  }
}

TEST(RealTables, TitanicIsToldAsDesigned) {
  SKIP_WITHOUT(data_folder() + "/titanic");
  const Splits splits = load_set("titanic/titanic.csv", {{"target", "survived"}});
  EXPECT_THAT(
      splits.notes,
      ElementsAre("titanic.csv  891 rows, 14 columns: 5 numeric, 9 categorical, 869 missing "
                  "values filled",
                  "target survived: 2 classes (549 / 342); split 713 train, 89 valid, 89 "
                  "test (stratified, seed 1)"));
  EXPECT_THAT(splits.warnings,
              ElementsAre("column \"alive\" predicts the target perfectly: a leak? "
                          "leave it out with --drop alive"));
}

TEST(RealTables, AdultWithItsTestFile) {
  SKIP_WITHOUT(data_folder() + "/adult");
  const Splits splits =
      load_set("adult/adult.data", {{"test_path", data_folder() + "/adult/adult.test"}});
  EXPECT_EQ(splits.train.rows(), 29305);  // 90 %: the test fraction is not used
  EXPECT_EQ(splits.valid.rows(), 3256);
  EXPECT_EQ(splits.test.rows(), 16281);
  std::int64_t rich = 0;
  for (const auto k : splits.test.targets.as<std::int64_t>()) rich += k;
  EXPECT_EQ(rich, 3846);  // "<=50K." and ">50K." are the classes of the training file
  EXPECT_THAT(splits.warnings, ElementsAre(HasSubstr("full stop")));
}

TEST(RealTables, A9aTestIsNarrower) {
  SKIP_WITHOUT(data_folder() + "/libsvm");
  const Splits splits = load_set("libsvm/a9a", {{"test_path", data_folder() + "/libsvm/a9a.t"}});
  EXPECT_EQ(splits.test.features.shape(), (Shape{16281, 123}));
}

TEST(RealTables, DiabetesWithTargetsApart) {
  SKIP_WITHOUT(data_folder() + "/diabetes-lars");
  const Splits splits =
      load_set("diabetes-lars/diabetes_data_raw.csv.gz",
               {{"targets", data_folder() + "/diabetes-lars/diabetes_target.csv.gz"},
                {"task", "regression"}});
  EXPECT_EQ(splits.train.rows() + splits.valid.rows() + splits.test.rows(), 442);
  EXPECT_EQ(splits.sample_shape, Shape{10});
  EXPECT_EQ(splits.transform.target_names(), std::vector<std::string>{"target"});
}

// Every fifth pixel of the training part, as the loader hands it out.
std::pair<double, double> moments_of_batches(const Dataset& dataset) {
  Loader loader(dataset, {.batch_size = 1000, .shuffle = false}, 1);
  double sum = 0, squares = 0, n = 0;
  for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
    for (const float x : loader.next().features.as<float>()) {
      sum += x;
      squares += static_cast<double>(x) * x;
      ++n;
    }
  }
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n)};
}

TEST(RealImages, Mnist) {
  SKIP_WITHOUT(data_folder() + "/mnist");
  const Splits splits = load_set("mnist", {{"split", std::vector<double>{1, 0, 0}}});
  EXPECT_EQ(splits.train.features.dtype(), DType::uint8);
  EXPECT_EQ(splits.sample_shape, (Shape{1, 28, 28}));
  EXPECT_THAT(class_counts(splits, false),
              ElementsAre(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949));
  Counts test(10);
  for (const auto k : splits.test.targets.as<std::int64_t>()) ++test[static_cast<std::size_t>(k)];
  EXPECT_THAT(test, ElementsAre(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009));
  // The README's figures have five digits.
  EXPECT_NEAR(splits.transform.block().shift[0] / 255, 0.13066, 5e-6);
  EXPECT_NEAR(1 / splits.transform.block().scale[0] / 255, 0.30811, 5e-6);
  const auto [mean, deviation] = moments_of_batches(splits.train);
  EXPECT_NEAR(mean, 0, 1e-6);  // rounding of 47 million float32 values
  EXPECT_NEAR(deviation, 1, 1e-6);
}

TEST(RealImages, Cifar10) {
  SKIP_WITHOUT(data_folder() + "/cifar10");
  const Splits splits = load_set("cifar10", {{"split", std::vector<double>{1, 0, 0}}});
  EXPECT_EQ(splits.train.features.shape(), (Shape{20000, 3, 32, 32}));
  EXPECT_EQ(splits.train.features.dtype(), DType::uint8);
  EXPECT_THAT(class_counts(splits, false),
              ElementsAre(1989, 1981, 2042, 2011, 2009, 1925, 2038, 2027, 2012, 1966));
  Counts test(10);
  for (const auto k : splits.test.targets.as<std::int64_t>()) ++test[static_cast<std::size_t>(k)];
  EXPECT_THAT(test, ElementsAre(103, 89, 100, 103, 90, 86, 112, 102, 106, 109));
  // The known figures are of all 50,000 images; 20,000 of them differ in the third digit.
  const double mean[] = {0.4914, 0.4822, 0.4465}, deviation[] = {0.2470, 0.2435, 0.2616};
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(splits.transform.block().shift[c] / 255, mean[c], 3e-3);
    EXPECT_NEAR(1 / splits.transform.block().scale[c] / 255, deviation[c], 3e-3);
  }
  const auto [of_all, spread] = moments_of_batches(splits.train);
  EXPECT_NEAR(of_all, 0, 1e-6);  // rounding of 61 million float32 values
  EXPECT_NEAR(spread, 1, 1e-6);
}

TEST(RealImages, JpegsOfBloodCells) {
  const std::string folder = data_folder() + "/bccd/JPEGImages";
  SKIP_WITHOUT(folder);
  const Table table =
      read_tables(folder, with({{"image_size", std::vector<std::int64_t>{30, 40}}})).train;
  EXPECT_EQ(table.block.shape(), (Shape{364, 3, 30, 40}));
  EXPECT_THAT(table.warnings, ElementsAre());
  // Stained cells on a bright ground: more red than green.
  double sums[3] = {};
  for (std::int64_t i = 0; i < table.block.size(); ++i) sums[i / 1200 % 3] += table.block.item(i);
  for (auto& sum : sums) sum /= 364 * 1200;
  EXPECT_GT(sums[0], sums[1] + 10);
  EXPECT_GT(sums[0], 128);
}

TEST(RealImages, FashionMnist) {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  SKIP_WITHOUT(folder);
  const Splits splits = load_set(folder);
  EXPECT_EQ(splits.train.rows(), 54000);
  EXPECT_EQ(splits.valid.rows(), 6000);
  EXPECT_EQ(splits.test.rows(), 10000);
  EXPECT_EQ(class_counts(splits, false), Counts(10, 6000));
  for (std::int64_t k = 0; k < 10; ++k) {
    const auto valid = splits.valid.targets.as<std::int64_t>();
    EXPECT_EQ(std::count(valid.begin(), valid.end(), k), 600);
  }
}

}  // namespace
}  // namespace descent::data
