#include "descent/train/lr_find.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using train::LrFindOptions;
using train::LrFound;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ---- what a curve suggests ----

struct CurveOf {
  std::vector<double> lr, loss;
};

// A typical curve: flat at 2, falls around `at` by 1.5, explodes beyond 100 * at. `noise` is a
// reproducible ripple of that size.
CurveOf typical(double at, double noise = 0) {
  CurveOf c;
  for (int i = 0; i < 100; ++i) {
    const double lr = 1e-7 * std::pow(1e8, i / 99.0), x = std::log10(lr / at);
    const double ripple = noise * std::sin(12.9898 * i + 78.233 * i * i);
    c.lr.push_back(lr);
    c.loss.push_back(2 - 1.5 / (1 + std::exp(-4 * x)) + std::pow(lr / (100 * at), 3) + ripple);
  }
  return c;
}

LrFound suggest(const CurveOf& c) { return train::suggest_rate(c.lr, c.loss, 0.8); }

// Within half a decade: the fall of the logistic is steepest at `at` itself.
void expect_near(const LrFound& found, double at) {
  ASSERT_TRUE(found.steepest) << found.reason;
  EXPECT_NEAR(std::log10(*found.steepest / at), 0, 0.5);
  EXPECT_LE(*found.steepest, *found.lowest_at);
}

TEST(SuggestRate, NamesTheSteepestDescent) {
  for (const double at : {1e-5, 1e-3, 1e-2}) {
    const auto found = suggest(typical(at));
    expect_near(found, at);
    EXPECT_DOUBLE_EQ(*found.careful, *found.lowest_at / 10);
    EXPECT_THAT(found.warnings, IsEmpty());
  }
  expect_near(suggest(typical(1e-3, 0.1)), 1e-3);
}

TEST(SuggestRate, SpikesDoNotLead) {
  for (const double size : {-1.9, 5.0, 1e6}) {
    for (const std::size_t at : {5U, 20U, 40U, 60U}) {
      auto c = typical(1e-3, 0.02);
      c.loss[at] += size;
      const auto found = suggest(c);
      expect_near(found, 1e-3);
      EXPECT_THAT(testing::PrintToString(found.warnings), HasSubstr("1 spike")) << at;
    }
  }
}

TEST(SuggestRate, LossesThatAreNoNumbersAreLeftOut) {
  auto c = typical(1e-3);
  for (const std::size_t i : {0U, 30U, 31U, 55U}) c.loss[i] = kNaN;
  for (std::size_t i = 90; i < 100; ++i) c.loss[i] = std::numeric_limits<double>::infinity();
  const auto found = suggest(c);
  expect_near(found, 1e-3);
  EXPECT_THAT(testing::PrintToString(found.warnings), HasSubstr("14 losses were not finite"));
}

TEST(SuggestRate, SuggestsNothingWhereNothingFalls) {
  auto flat = typical(1e-3), rising = flat, noise = flat, none = flat;
  for (std::size_t i = 0; i < 100; ++i) {
    flat.loss[i] = 2;
    rising.loss[i] = 2 + 0.01 * static_cast<double>(i);
    noise.loss[i] = 2 + 0.3 * std::sin(12.9898 * static_cast<double>(i * i));
    none.loss[i] = kNaN;
  }
  for (const auto& c : {flat, rising, noise}) {
    const auto found = suggest(c);
    EXPECT_FALSE(found.steepest) << *found.steepest;
    EXPECT_FALSE(found.careful);
    EXPECT_THAT(found.reason, HasSubstr("does not fall"));
  }
  EXPECT_THAT(suggest(none).reason, HasSubstr("only 0 losses are finite"));
}

TEST(SuggestRate, SaysWhereTheRangeIsTooNarrow) {
  const auto above = suggest(typical(10));
  ASSERT_TRUE(above.steepest);
  EXPECT_THAT(testing::PrintToString(above.warnings), HasSubstr("raise --max"));
}

// ---- the test itself ----

LrFound find(const std::vector<std::string>& assignments, const LrFindOptions& options) {
  Recorder recorder;
  auto job = train::prepare(config_of(assignments), recorder);
  return train::lr_find(job, options);
}

// The largest eigenvalue of the Hessian 2/n [X 1]'[X 1] of the mean squared error.
double curvature(const std::vector<std::string>& assignments) {
  Recorder recorder;
  const auto job = train::prepare(config_of(assignments), recorder);
  const auto& x = job.data.train.features;
  const std::int64_t n = x.shape()[0], d = x.shape()[1];
  std::vector<double> v(static_cast<std::size_t>(d + 1), 1.0);
  double value = 0;
  for (int iteration = 0; iteration < 100; ++iteration) {
    std::vector<double> next(v.size(), 0.0);
    for (std::int64_t i = 0; i < n; ++i) {
      double dot = v.back();
      for (std::int64_t k = 0; k < d; ++k)
        dot += x.item(i * d + k) * v[static_cast<std::size_t>(k)];
      for (std::int64_t k = 0; k < d; ++k)
        next[static_cast<std::size_t>(k)] += 2 * dot * x.item(i * d + k) / static_cast<double>(n);
      next.back() += 2 * dot / static_cast<double>(n);
    }
    double norm = 0;
    for (const double c : next) norm += c * c;
    value = std::sqrt(norm);
    for (std::size_t k = 0; k < v.size(); ++k) v[k] = next[k] / value;
  }
  return value;
}

// Gradient descent on a quadratic diverges above 2/L. A sweep of 200 steps takes 25 in a decade:
// all steps below a rate together are 11 times that rate, so that the loss falls at about a tenth
// of 1/L; three times the other way are room for the slower directions.
TEST(LrFind, StaysBelowTwoOverTheCurvature) {
  const std::vector<std::string> line = {"data.path=synthetic:sine", "data.rows=300",
                                         "model.name=linear",        "optimizer.name=sgd",
                                         "train.batch_size=full",    "train.shards=1"};
  const double limit = 2 / curvature(line);
  const auto found = find(line, {.steps = 200});
  ASSERT_TRUE(found.steepest) << found.reason;
  EXPECT_LT(*found.steepest, limit);
  EXPECT_GT(*found.steepest, limit / 60);
  EXPECT_LT(*found.careful, limit);
  EXPECT_THAT(found.ended, HasSubstr("exploded"));
}

TEST(LrFind, RepeatsAreDeterministicAndDifferFromOneSweep) {
  const std::vector<std::string> moons = {"data.path=synthetic:moons", "data.rows=200",
                                          "model.name=mlp", "model.hidden=[8]"};
  const auto losses = [](const LrFound& found) {
    std::vector<double> all;
    for (const auto& p : found.points) all.push_back(p.loss);
    return all;
  };
  const LrFindOptions three{.steps = 60, .repeats = 3}, one{.steps = 60};
  EXPECT_EQ(losses(find(moons, three)), losses(find(moons, three)));
  EXPECT_NE(losses(find(moons, three)), losses(find(moons, one)));
}

TEST(LrFind, RatesOfGroupsKeepTheirProportion) {
  // A group at rate 0 does not move: the model is its other half alone.
  std::vector<std::string> frozen = {"data.path=synthetic:moons", "model.name=mlp",
                                     "model.hidden=[8]", "optimizer.lr=0.1", "optimizer.name=sgd"};
  train::RawConfig raw;
  for (const auto& a : frozen) raw.set(a, "test");
  raw.groups.push_back(
      {{{"match", {std::vector<std::string>{"*"}, "test"}}, {"lr", {0.001, "test"}}}, "test"});
  Recorder recorder;
  auto slow = train::prepare(train::resolve(raw), recorder);
  auto fast = train::prepare(config_of(frozen), recorder);
  const auto a = train::lr_find(slow, {.min = 1e-3, .max = 10, .steps = 50});
  const auto b = train::lr_find(fast, {.min = 1e-5, .max = 0.1, .steps = 50});
  ASSERT_EQ(a.points.size(), b.points.size());
  for (std::size_t i = 0; i < a.points.size(); ++i)
    EXPECT_NEAR(a.points[i].loss, b.points[i].loss, 1e-4);  // float32, rates rounded differently
}

TEST(LrFind, RefusesRangesThatAreNone) {
  for (const LrFindOptions& o :
       {LrFindOptions{.min = 0}, LrFindOptions{.min = 1, .max = 0.1}, LrFindOptions{.steps = 3},
        LrFindOptions{.repeats = 0}, LrFindOptions{.smoothing = 1}}) {
    EXPECT_THROW(find({"data.path=synthetic:moons"}, o), Error);
  }
}

}  // namespace
}  // namespace descent::test
