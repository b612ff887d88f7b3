#include <cmath>
#include <numeric>

#include "descent/data/csv.h"
#include "descent/data/npy.h"
#include "descent/data/pipeline.h"
#include "tests/data/support.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Values = std::vector<std::pair<std::string, OptionValue>>;

Table table_of(std::string_view text) { return parse_csv(text, "t.csv", {}); }

std::vector<std::int64_t> all_rows(const Table& table) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(table.rows));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Transform fit(const Table& table, Values values = {},
              std::vector<std::string>* warnings = nullptr) {
  std::vector<std::string> mine;
  return Transform::fit(table, all_rows(table), with(std::move(values)),
                        warnings ? *warnings : mine);
}

const char* kPeople =
    "age,city,vip,weight,y\n20,Rome,a,1,no\n,Oslo,b,2,yes\n40,,b,1,no\n60,Rome,a,3,yes\n";

TEST(Transform, ImputesNormalisesAndEncodes) {
  const Table table = table_of(kPeople);
  const Transform t = fit(table, {{"weights", "weight"}});
  EXPECT_THAT(t.feature_names(),
              ElementsAre("age", "city=Oslo", "city=Rome", "city missing", "vip=a", "vip=b"));
  EXPECT_THAT(t.class_names(), ElementsAre("no", "yes"));
  const Dataset d = t.apply(table, true);
  // age: median of 20, 40, 60 is 40; filled 20 40 40 60 has mean 40, deviation sqrt(200).
  const float s = static_cast<float>(20 / std::sqrt(200.0));
  const std::vector<double> expected = {-s, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1,
                                        0,  0, 0, 1, 0, 1, s, 0, 1, 0, 1, 0};
  EXPECT_THAT(d.features.to_vector(), testing::Pointwise(testing::DoubleNear(1e-6), expected));
  EXPECT_THAT(d.targets.to_vector(), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(d.weights.to_vector(), ElementsAre(1, 2, 1, 3));
}

TEST(Transform, Normalizations) {
  const Table table = table_of("x,k,y\n1,5,0.5\n2,5,1.5\n5,5,2.5\n");
  const auto features = [&](const char* how) {
    return fit(table, {{"normalize", how}, {"task", "regression"}})
        .apply(table, true)
        .features.to_vector();
  };
  EXPECT_THAT(features("none"), ElementsAre(1, 5, 2, 5, 5, 5));
  EXPECT_THAT(features("unit"), ElementsAre(1, 5, 2, 5, 5, 5));
  EXPECT_THAT(features("minmax"), ElementsAre(0, 0, 0.25, 0, 1, 0));
  const auto standard = features("standard");  // a constant column becomes 0
  EXPECT_NEAR(standard[0] + standard[2] + standard[4], 0, 1e-6);
  EXPECT_EQ(standard[1], 0);
}

TEST(Transform, RegressionTargetsAndTheirUnits) {
  const Table table = table_of("x,y\n1,100\n2,300\n3,200.5\n");
  const Transform t = fit(table);
  EXPECT_EQ(t.task(), Task::regression);
  Dataset d = t.apply(table, true);
  EXPECT_EQ(d.targets.shape(), (Shape{3, 1}));
  double sum = 0;
  for (const double y : d.targets.to_vector()) sum += y;
  EXPECT_NEAR(sum, 0, 1e-6);
  t.restore_targets(d.targets);
  EXPECT_THAT(d.targets.to_vector(),
              testing::Pointwise(testing::DoubleNear(1e-4), {100.0, 300.0, 200.5}));
  const Transform raw = fit(table, {{"normalize_target", false}});
  EXPECT_THAT(raw.apply(table, true).targets.to_vector(), ElementsAre(100, 300, 200.5));
  const Transform two = fit(table_of("a,b,c\n1,2,3.5\n2,3,4\n3,1,9\n"),
                            {{"target", "b, c"}, {"normalize_target", false}});
  EXPECT_EQ(two.outputs(), 2);
  EXPECT_EQ(two.feature_names(), std::vector<std::string>{"a"});
}

TEST(Transform, TaskIsInferredFromTheTarget) {
  const auto task = [](const std::string& cells, const char* asked = "auto") {
    std::string text = "x,y\n";
    std::size_t i = 0;
    for (const char c : cells) text += std::to_string(i++) + "," + std::string(1, c) + "\n";
    return fit(table_of(text), {{"task", asked}}).task();
  };
  EXPECT_EQ(task("abab"), Task::classification);
  EXPECT_EQ(task("0110"), Task::classification);
  EXPECT_EQ(task("0123", "regression"), Task::regression);
  std::string many = "x,y\n", half = "x,y\n1,0.5\n2,1\n";
  for (int i = 0; i < 42; ++i) many += "1," + std::to_string(i % 21) + "\n";
  EXPECT_EQ(fit(table_of(many)).task(), Task::regression);
  EXPECT_EQ(fit(table_of(many), {{"task", "classification"}}).classes(), 21);
  EXPECT_EQ(fit(table_of(half)).task(), Task::regression);
}

TEST(Transform, ClassesAreSortedByValue) {
  const Transform t = fit(table_of("x,y\n1,10\n2,9\n3,-1\n4,10\n"));
  EXPECT_THAT(t.class_names(), ElementsAre("-1", "9", "10"));
}

TEST(Transform, ColumnsAreChosenByNameAndIndex) {
  const Table table = table_of("a,b,c,d\n1,2,3,x\n4,5,6,y\n7,8,9,x\n");
  const auto names = [&](Values values) { return fit(table, std::move(values)).feature_names(); };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(names({}), (Texts{"a", "b", "c"}));
  EXPECT_EQ(names({{"target", "last"}}), (Texts{"a", "b", "c"}));
  EXPECT_EQ(names({{"target", "0"}, {"drop", Texts{"d"}}}), (Texts{"b", "c"}));
  EXPECT_EQ(names({{"target", "-1"}, {"drop", Texts{"b"}}}), (Texts{"a", "c"}));
  EXPECT_EQ(names({{"features", Texts{"c", "a"}}}), (Texts{"a", "c"}));
  expect_error(
      [&] {
        names({{"target", "e"}});
      },
      ErrorKind::usage, {"data.target", "no column \"e\""});
  expect_error(
      [&] {
        names({{"drop", Texts{"a", "b", "c"}}});
      },
      ErrorKind::data, {"no column is left"});
  const Table people = table_of(kPeople);
  expect_error(
      [&] {
        fit(people, {{"target", "agee"}});
      },
      ErrorKind::usage, {"did you mean \"age\"?"});
}

TEST(Transform, IdentifiersAreDroppedWithAWarning) {
  std::string text = "name,kind,y\n";
  for (int i = 0; i < 40; ++i) {
    text += "person" + std::to_string(i) + (i % 2 ? ",a," : ",b,") + std::to_string(i % 2) + "\n";
  }
  std::vector<std::string> warnings;
  const Transform t = fit(table_of(text), {}, &warnings);
  EXPECT_THAT(t.feature_names(), ElementsAre("kind=a", "kind=b"));
  EXPECT_THAT(warnings,
              ElementsAre(HasSubstr("\"name\" is left out: 40 different texts in 40 rows")));
}

TEST(Transform, RoundTripThroughJsonAppliesIdentically) {
  for (const Values& values :
       {Values{}, {{"weights", "weight"}}, {{"target", "age"}, {"normalize", "minmax"}}}) {
    const Table table = table_of(kPeople);
    std::vector<std::int64_t> rows = {0, 2, 3};
    std::vector<std::string> warnings;
    const Transform t = Transform::fit(table, rows, with(values), warnings);
    const Transform back = Transform::from_json(nlohmann::json::parse(t.to_json().dump()));
    EXPECT_EQ(back.to_json(), t.to_json());
    const Dataset a = t.apply(table, rows, true), b = back.apply(table, rows, true);
    EXPECT_TRUE(identical(a.features, b.features));
    EXPECT_TRUE(identical(a.targets, b.targets));
    EXPECT_EQ(static_cast<bool>(a.weights), static_cast<bool>(b.weights));
  }
}

TEST(Transform, DamagedJsonIsADataError) {
  const auto good = fit(table_of(kPeople)).to_json();
  for (const char* key : {"format", "version", "task", "target", "table", "columns"}) {
    auto bad = good;
    bad.erase(key);
    expect_error([&] { Transform::from_json(bad); }, ErrorKind::data, {"transform", key});
    bad[key] = 3.5;
    expect_error([&] { Transform::from_json(bad); }, ErrorKind::data, {"transform"});
  }
  expect_error([&] { Transform::from_json(nlohmann::json::array()); }, ErrorKind::data,
               {"transform"});
}

// ---- further files ----

TEST(Transform, MatchesColumnsByName) {
  const Transform t = fit(table_of(kPeople), {{"weights", "weight"}});
  const Table mixed = table_of("vip,extra,city,age\nb,9,Oslo,40\na,9,Bonn,\n");
  std::vector<std::string> warnings;
  const Dataset d = t.apply(mixed, false, &warnings);
  EXPECT_FALSE(d.targets);
  EXPECT_FALSE(d.weights);
  EXPECT_THAT(d.features.to_vector(), ElementsAre(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0));
  EXPECT_THAT(warnings,
              ElementsAre(HasSubstr("column \"city\": 1 row with a category that the training "
                                    "rows never had, e.g. \"Bonn\"")));
  expect_error([&] { t.apply(mixed, true); }, ErrorKind::data, {"column \"y\" is missing"});
  expect_error([&] { t.apply(table_of("ages,city,vip\n1,Rome,a\n2,Oslo,b\n"), false); },
               ErrorKind::data, {"t.csv", "column \"age\" is missing", "did you mean \"ages\"?"});
  expect_error([&] { t.apply(table_of("q,r\n1,2\n"), false); }, ErrorKind::data,
               {"3 columns are missing: \"age\", \"city\", \"vip\""});
  expect_error([&] { t.apply(table_of("20,Rome,a,1,no\n30,Rome,a,1,no\n"), false); },
               ErrorKind::data, {"header line"});
  expect_error([&] { t.apply(table_of("age,city,vip\nx,Rome,a\ny,Rome,b\nz,Oslo,b\n"), false); },
               ErrorKind::data, {"t.csv:2", "expected a number in column \"age\", found \"x\""});
  expect_error(
      [&] { t.apply(table_of("age,city,vip,weight,y\n1,Rome,a,1,maybe\n2,Rome,b,1,no\n"), true); },
      ErrorKind::data, {"t.csv:2", "class \"maybe\"", "one of: no, yes"});
}

TEST(Transform, TargetsComeUnaskedWhereAllAreThere) {
  const Transform t = fit(table_of("a,b,y\n1,2,u\n2,3,v\n"));
  EXPECT_TRUE(t.apply(table_of("a,b,y\n1,2,v\n3,1,u\n"), false).targets);
  EXPECT_FALSE(t.apply(table_of("a,b,y\n1,2,v\n3,1,\n"), false).targets);
  EXPECT_FALSE(t.apply(table_of("a,b,y\n1,2,w\n3,1,v\n"), false).targets);
}

TEST(Transform, HeaderlessFilesMayLackTheTarget) {
  // The target is the first column: the others count from c0 in the file without it.
  const Transform t =
      fit(table_of("u,1,10\nv,2,20\nu,3,60\n"), {{"target", "c0"}, {"normalize", "none"}});
  const Dataset d = t.apply(table_of("7,70\n8,80\n"), false);
  EXPECT_THAT(d.features.to_vector(), ElementsAre(7, 70, 8, 80));
}

TEST(Transform, KindsMayDifferBetweenFiles) {
  // Text that is numbers, numbers that were categories.
  const Transform t = fit(table_of("n,k,y\n1,1,u\n2,A,v\n3,1,v\n"), {{"normalize", "none"}});
  EXPECT_THAT(t.feature_names(), ElementsAre("n", "k=1", "k=A"));
  const Dataset d = t.apply(table_of("n,k\n5,1\n6,1\n"), false);
  EXPECT_THAT(d.features.to_vector(), ElementsAre(5, 1, 0, 6, 1, 0));
}

// ---- nothing may be learnt from rows outside of train ----

TEST(Leaks, ValidAndTestRowsDoNotTouchTheFit) {
  std::string text = "x,k,y\n", other = "x,k,y\n";
  for (int i = 0; i < 60; ++i) {
    const std::string row =
        std::to_string(i * i % 17) + (i % 3 ? ",a," : ",b,") + std::to_string(i % 2) + "\n";
    text += row;
    // The last twenty rows change beyond recognition, but for their classes.
    other += i < 40 ? row : "1e6,z," + std::to_string(i % 2) + "\n";
  }
  const Table a = table_of(text), b = table_of(other);
  std::vector<std::int64_t> train(40);
  std::iota(train.begin(), train.end(), 0);
  std::vector<std::string> warnings;
  for (const char* how : {"standard", "minmax"}) {
    const auto options = with({{"normalize", how}});
    EXPECT_EQ(Transform::fit(a, train, options, warnings).to_json(),
              Transform::fit(b, train, options, warnings).to_json());
  }
}

TEST(Leaks, SplitsAreFittedOnTheTrainingRowsAlone) {
  const TemporaryFolder folder;
  std::string text = "x,y\n";
  for (int i = 0; i < 100; ++i)
    text += std::to_string(i * 37 % 101) + "," + std::to_string(i % 2) + "\n";
  const Splits splits = load(with({{"path", folder.write("t.csv", text)}}), 3);
  double sum = 0;
  for (const float x : splits.train.features.as<float>()) sum += x;
  EXPECT_NEAR(sum / 80, 0, 1e-6);  // mean 0 over the 80 training rows, not over all 100
  double rest = 0;
  for (const float x : splits.valid.features.as<float>()) rest += x;
  for (const float x : splits.test.features.as<float>()) rest += x;
  EXPECT_GT(std::abs(rest), 1e-3);
}

TEST(Leaks, PerfectColumnsAreReported) {
  const TemporaryFolder folder;
  std::string text = "noise,copy,flag,y\n", line = "a,b,y\n";
  for (int i = 0; i < 200; ++i) {
    const int y = i * 7 % 3;
    text += std::to_string(i * 31 % 97) + "," + std::to_string(2 * y) + "," + (y == 0 ? "p" : "q") +
            "," + std::to_string(y) + "\n";
    line += std::to_string(i * 31 % 97) + "," + std::to_string(i) + "," +
            std::to_string(3.5 * i - 1) + "\n";
  }
  const Splits splits = load(with({{"path", folder.write("t.csv", text)}}), 1);
  EXPECT_THAT(splits.warnings,
              ElementsAre("column \"copy\" predicts the target perfectly: a leak? leave "
                          "it out with --drop copy"));
  const Splits straight = load(with({{"path", folder.write("l.csv", line)}}), 1);
  EXPECT_THAT(straight.warnings,
              ElementsAre(HasSubstr("column \"b\" predicts the target perfectly")));
}

// ---- blocks ----

TEST(Blocks, ImagesStayBytesWithStatisticsPerChannel) {
  Array images(DType::uint8, {4, 2, 1, 2}), labels(DType::int64, {4});
  for (std::int64_t i = 0; i < 16; ++i)
    images.set_item(i, static_cast<double>(i % 4 < 2 ? i : 100 + i));
  for (std::int64_t i = 0; i < 4; ++i) labels.set_item(i, static_cast<double>(i % 2));
  const TemporaryFolder folder;
  const auto options = with({{"path", folder.write("x.npy", encode_npy(images))},
                             {"targets", folder.write("y.npy", encode_npy(labels))},
                             {"split", std::vector<double>{0.5, 0.5}}});
  const Splits splits = load(options, 1);
  EXPECT_EQ(splits.train.features.dtype(), DType::uint8);
  EXPECT_EQ(splits.sample_shape, (Shape{2, 1, 2}));
  ASSERT_EQ(splits.train.shift.size(), 2u);
  EXPECT_GT(splits.train.shift[1], 100);
  EXPECT_EQ(splits.classes, 2);
  const Transform back =
      Transform::from_json(nlohmann::json::parse(splits.transform.to_json().dump()));
  const LoadedRows rows = load_for(back, folder.path() + "/x.npy", true, options);
  EXPECT_EQ(rows.data.rows(), 4);
  EXPECT_EQ(rows.data.shift, splits.train.shift);
  EXPECT_THAT(rows.origin, ElementsAre(1, 2, 3, 4));
  const auto wrong = folder.write("w.npy", encode_npy(Array(DType::uint8, {4, 3, 1, 2})));
  expect_error([&] { load_for(back, wrong, false); }, ErrorKind::data,
               {"w.npy", "rows of shape [3, 1, 2], expected [2, 1, 2]"});
}

TEST(Blocks, FloatArraysAreScaledPerColumnAndFilled) {
  const TemporaryFolder folder;
  const auto x =
      folder.write("x.npy", encode_npy(Array::from<float>({1, 10, 3, NAN, 5, 30, 7, 20}, {4, 2})));
  const auto y = folder.write("y.npy", encode_npy(Array::from<double>({0.5, 1, 2, 4}, {4})));
  const Splits splits =
      load(with({{"path", x}, {"targets", y}, {"split", std::vector<double>{1, 0}}}), 1);
  EXPECT_EQ(splits.task, Task::regression);
  const auto v = splits.train.features.to_vector();
  EXPECT_NEAR(v[0] + v[2] + v[4] + v[6], 0, 1e-6);
  EXPECT_NEAR(v[3], 0, 1e-6);  // NaN becomes the column's mean
  expect_error(
      [&] {
        load(with({{"path", x}}), 1);
      },
      ErrorKind::data, {"no targets", "data.targets"});
  const auto few = folder.write("z.npy", encode_npy(Array(DType::float32, {3})));
  expect_error(
      [&] {
        load(with({{"path", x}, {"targets", few}}), 1);
      },
      ErrorKind::data, {"z.npy", "3 rows of targets for 4 rows of features"});
}

TEST(Load, ReportsWhatItLeavesOut) {
  const TemporaryFolder folder;
  const auto path = folder.write("t.csv", "a,b,y\n1,2,u\n2,3,\n3,4,v\n4\n5,6,u\n6,7,v\n");
  const Splits splits = load(with({{"path", path}}), 1);
  EXPECT_EQ(splits.train.rows() + splits.valid.rows() + splits.test.rows(), 4);
  EXPECT_THAT(splits.warnings,
              ElementsAre(HasSubstr("1 malformed row left out; the first: " + path + ":5:1"),
                          HasSubstr("1 row without a target left out")));
  expect_error(
      [&] {
        load(with({{"path", path}, {"strict", true}}), 1);
      },
      ErrorKind::data, {":5:1", "expected 3 fields, found 1"});
  const LoadedRows rows = load_for(splits.transform, path, true);
  EXPECT_THAT(rows.origin, ElementsAre(2, 4, 6, 7));
  EXPECT_EQ(load_for(splits.transform, path, false).data.rows(), 5);
}

TEST(Load, WordsUsageErrors) {
  expect_error([] { load(default_options(), 1); }, ErrorKind::usage, {"data.path", "--data"});
  expect_error(
      [] {
        load(with({{"path", "/no/such/file.csv"}}), 1);
      },
      ErrorKind::data, {"/no/such/file.csv", "No such file"});
  expect_error(
      [] {
        load(with({{"path", "synthetic:moons"}, {"split", std::vector<double>{0.5}}}), 1);
      },
      ErrorKind::usage, {"data.split"});
  const TemporaryFolder folder;
  expect_error(
      [&] {
        load(with({{"path", folder.write("t.csv", "a,y\n1,u\n2,u\n")}}), 1);
      },
      ErrorKind::data, {"target \"y\" is the same in every row: \"u\""});
  expect_error(
      [&] {
        load(with({{"path", folder.write("t.csv", "a,y\n1,u\n2,v\n")}, {"task", "regression"}}), 1);
      },
      ErrorKind::data, {"target \"y\" is text"});
  expect_error(
      [&] {
        load(with({{"path", folder.write("t.csv", "a;y\n1;u\n2;v\n")}, {"separator", "5"}}), 1);
      },
      ErrorKind::usage, {"data.separator"});
}

TEST(Options, DescribeTheSection) {
  for (const char* key :
       {"path",      "source",   "target",    "strict",          "split",   "targets",
        "features",  "drop",     "header",    "separator",       "missing", "stratify",
        "normalize", "task",     "test_path", "valid_path",      "rows",    "noise",
        "shuffle",   "prefetch", "weights",   "normalize_target"}) {
    EXPECT_TRUE(std::ranges::any_of(options(), [&](const Option& o) { return o.key == key; }))
        << key;
  }
  for (const auto& option : options()) EXPECT_FALSE(option.help.empty()) << option.key;
}

}  // namespace
}  // namespace descent::data
