// An update from several batches equals the update of one batch of all their rows.
#include <gmock/gmock.h>

#include <cmath>

#include "descent/data/loader.h"
#include "descent/io/safetensors.h"
#include "descent/train/batch_sizes.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;

// 1e-12, float64: sums of some tens of rows in another order, over some tens of updates.
constexpr double kRounding = 1e-12;

struct Trained {
  std::map<std::string, std::vector<double>> parameters;
  std::vector<std::pair<std::int64_t, double>> losses;  // of each update
};

Trained trained(const std::function<train::Config(const std::vector<std::string>&)>& config,
                const std::vector<std::string>& more) {
  Folder folder;
  Recorder recorder;
  train::Job job = train::prepare(config(more), recorder);
  train::run(job, {folder / "run"}, recorder);
  Trained result;
  for (const auto& [name, array] : io::load_safetensors(newest_state(folder / "run")).tensors) {
    if (name.starts_with("parameters/")) result.parameters[name] = array.to_vector();
  }
  for (const auto& r : recorder.records) {
    if (r.split == "train" && r.values.size() == 3)
      result.losses.emplace_back(r.step, r.values[0].second);
  }
  return result;
}

void expect_equal(const Trained& a, const Trained& b) {
  ASSERT_EQ(a.losses.size(), b.losses.size());
  ASSERT_GT(a.losses.size(), 3u);
  for (std::size_t i = 0; i < a.losses.size(); ++i) {
    EXPECT_EQ(a.losses[i].first, b.losses[i].first);
    EXPECT_NEAR(a.losses[i].second, b.losses[i].second, kRounding) << "update " << i;
  }
  ASSERT_EQ(a.parameters.size(), b.parameters.size());
  for (const auto& [name, values] : a.parameters) {
    const auto& other = b.parameters.at(name);
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], other[i], kRounding) << name << " " << i;
  }
}

train::Config joined(std::vector<std::string> all, const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return config_of(all);
}

train::Config spirals(const std::vector<std::string>& more) {
  return joined({"data.path=synthetic:spirals", "data.rows=330", "model.hidden=[8]",
                 "optimizer.name=sgd", "optimizer.lr=0.1", "optimizer.momentum=0.9",
                 "optimizer.clip_norm=0.5", "schedule.name=cosine", "train.epochs=3",
                 "train.precision=float64", "train.log_every=1", "checkpoint.min_seconds=0"},
                more);
}

// 264 training rows: batches of 20 leave one of 4, and the last update of an epoch gets 20 + 4.
TEST(Accumulate, EqualsOneBatchOfAllRows) {
  const auto one = trained(spirals, {"train.batch_size=80"});
  EXPECT_EQ(one.losses.size(), 12u);
  expect_equal(one, trained(spirals, {"train.batch_size=20", "train.accumulate=4"}));
  const auto two =
      trained(spirals, {"train.batch_size=20", "train.accumulate=4", "train.shards=2"});
  expect_equal(one, two);
  // That the tolerance can tell: without the last rows of an epoch it is another run.
  const auto other = trained(spirals, {"train.batch_size=21", "train.accumulate=4"});
  EXPECT_GT(std::abs(other.losses.back().second - one.losses.back().second), 1e-6);
}

TEST(Accumulate, LeavesOutWhatOneBatchWould) {
  const auto one = trained(spirals, {"train.batch_size=80", "train.drop_last=true"});
  EXPECT_EQ(one.losses.size(), 9u);
  expect_equal(
      one, trained(spirals, {"train.batch_size=20", "train.accumulate=4", "train.drop_last=true"}));
}

// Batches of unequal weight, one of them of none; class weights besides.
TEST(Accumulate, WeighsRowsAsOneBatch) {
  Folder folder;
  std::ostringstream csv;
  csv << "a,b,w,label\n";
  for (int i = 0; i < 46; ++i) {
    const int weight = i < 10 ? 0 : i % 5;
    csv << (7 * i % 23) / 8.0 << "," << (5 * i % 17) / 4.0 << "," << weight << ","
        << (i % 3 == 0 ? "yes" : "no") << "\n";
  }
  write_file_atomic(folder / "rows.csv", csv.str());
  const auto config = [&](const std::vector<std::string>& more) {
    return joined({"data.path=" + (folder / "rows.csv"), "data.target=label", "data.weights=w",
                   "data.split=[1,0]", "data.shuffle=false", "train.shuffle=false",
                   "model.hidden=[5]", "loss.name=cross_entropy", "loss.class_weights=[0.5,3]",
                   "train.epochs=4", "optimizer.name=sgd", "optimizer.lr=0.1",
                   "train.precision=float64", "train.log_every=1", "checkpoint.min_seconds=0"},
                  more);
  };
  expect_equal(trained(config, {"train.batch_size=20"}),
               trained(config, {"train.batch_size=5", "train.accumulate=4"}));
}

// A language model with a token that does not count (a mask): batches hold unequal numbers of
// tokens.
TEST(Accumulate, CountsTokensAsOneBatch) {
  Folder folder;
  std::string text;
  for (int i = 0; i < 60; ++i) text += i % 7 < 4 ? "abba cab " : "______a__";
  write_file_atomic(folder / "text.txt", text);
  const auto config = [&](const std::vector<std::string>& more) {
    train::RawConfig raw;
    const auto layer = [&](const std::map<std::string, OptionValue>& values) {
      auto& to = raw.layers.emplace_back();
      for (const auto& [key, value] : values) to.values[key] = {value, "test"};
    };
    layer({{"type", "embedding"}, {"vocabulary", std::int64_t{5}}, {"dim", std::int64_t{4}}});
    layer({{"type", "linear"}, {"units", std::int64_t{5}}});
    std::vector<std::string> all = {"data.path=" + (folder / "text.txt"),
                                    "data.context=8",
                                    "data.split=[1,0]",
                                    "loss.name=cross_entropy",
                                    "optimizer.name=sgd",
                                    "optimizer.lr=0.2",
                                    "train.epochs=3",
                                    "train.log_every=1",
                                    "train.precision=float64",
                                    "checkpoint.min_seconds=0",
                                    "loss.class_weights=[1,0,1,2,1]"};
    all.insert(all.end(), more.begin(), more.end());
    for (const auto& assignment : all) raw.set(assignment, "test");
    return train::resolve(raw);
  };
  expect_equal(trained(config, {"train.batch_size=12"}),
               trained(config, {"train.batch_size=4", "train.accumulate=3"}));
}

// An update of one batch is the step without accumulation, dropout and running statistics too.
TEST(Accumulate, OfOneBatchIsTheStepItself) {
  std::vector<std::string> more = {"model.dropout=0.3", "model.batch_norm=true",
                                   "train.batch_size=264", "train.epochs=5"};
  const auto step = trained(spirals, more);
  more.emplace_back("train.accumulate=2");  // there is no second batch
  expect_equal(step, trained(spirals, more));
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Accumulate, SaysWhatItCannotDo) {
  EXPECT_THAT(error_of([] {
                trained(spirals, {"train.accumulate=2", "optimizer.sam=0.1"});
              }),
              HasSubstr("leave out train.accumulate"));
  EXPECT_THAT(error_of([] {
                trained(spirals, {"train.accumulate=2", "train.eager=true"});
              }),
              HasSubstr("train.eager"));
  EXPECT_THAT(
      error_of([] {
        trained(spirals, {"train.accumulate=2", "optimizer.lr=1e300", "optimizer.clip_norm=0"});
      }),
      HasSubstr("try a smaller learning rate"));
}

TEST(BatchSchedule, CountsStepsEpochByEpoch) {
  using train::BatchSizes;
  const BatchSizes sizes(32, {"2:64", "4:100"}, 264, false, 1);
  std::vector<std::int64_t> steps;
  for (std::int64_t e = 0; e < 5; ++e) steps.push_back(sizes.steps_in(e));
  EXPECT_THAT(steps, testing::ElementsAre(9, 5, 5, 3, 3));
  EXPECT_EQ(sizes.at(0), 32);
  EXPECT_EQ(sizes.at(2), 64);
  EXPECT_EQ(sizes.at(9), 100);
  std::int64_t sum = 0;
  for (std::int64_t e = 0; e < 9; ++e) {
    EXPECT_EQ(sizes.steps_of(e), sum) << e;
    if (e > 0) {
      EXPECT_EQ(sizes.epochs_for(sum), e);
    }
    EXPECT_EQ(sizes.epochs_for(sum + 1), e + 1);
    sum += sizes.steps_in(e);
  }
  EXPECT_EQ(BatchSizes(32, {}, 264, true, 3).steps_in(0), 2);
  EXPECT_EQ(BatchSizes(32, {}, 264, false, 3).steps_in(0), 3);
  for (const char* bad : {"10", "1:64", "x:64", "5:0", "5:64x", ":"})
    EXPECT_THAT(error_of([&] { BatchSizes(32, {bad}, 264, false, 1); }), HasSubstr(bad));
  EXPECT_THAT(error_of([] {
                BatchSizes(32, {"5:64", "3:96"}, 264, false, 1);
              }),
              HasSubstr("rising"));
}

TEST(BatchSchedule, TrainsWithTheSizesItNames) {
  const auto run = trained(spirals, {"train.batch_size=32", "train.epochs=4",
                                     "train.batch_schedule=[\"2:64\",\"4:100\"]"});
  EXPECT_EQ(run.losses.size(), 22u);  // 9 + 5 + 5 + 3
  // The first epoch is that of a run without; so is all of it where the size does not change.
  const auto same = trained(
      spirals, {"train.batch_size=32", "train.epochs=4", "train.batch_schedule=[\"3:32\"]"});
  expect_equal(same, trained(spirals, {"train.batch_size=32", "train.epochs=4"}));
  EXPECT_THAT(error_of([] {
                trained(spirals, {"train.batch_schedule=[\"2:64\"]", "schedule.unit=epoch"});
              }),
              HasSubstr("unit = \"step\""));
}

// An epoch's rows come in the order of the permutation, whatever the batches.
TEST(BatchSchedule, KeepsTheOrderOfTheRows) {
  data::Dataset rows;
  rows.features = Array(DType::float32, {37, 1});
  for (std::int64_t i = 0; i < 37; ++i) rows.features.set_item(i, static_cast<double>(i));
  const auto order = [&](std::int64_t batch_size) {
    data::Loader loader(rows, {.batch_size = batch_size}, 7);
    loader.seek({3, 0});
    std::vector<double> seen;
    while (seen.size() < 37) {
      for (const double x : loader.next().features.to_vector()) seen.push_back(x);
    }
    return seen;
  };
  EXPECT_EQ(order(5), order(12));
}

}  // namespace
}  // namespace descent::test
