// Every optimizer against the trajectories of 100 steps that PyTorch, optax or a paper's formula
// gives (tests/golden/optim*_golden.py).
#include <gmock/gmock.h>

#include "descent/optim/wrappers.h"
#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

struct Case {
  std::string row;
  DType dtype;
  bool fed;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.row; }
};

bool is_row(const std::string& key) { return trajectories().at(key).contains("optimizer"); }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [key, row] : trajectories().items()) {
    if (!is_row(key)) continue;
    for (const auto dtype : {DType::float64, DType::float32}) {
      if (dtype == DType::float32 && row.contains("float64_only")) continue;  // see its script
      all.push_back({key, dtype, false});
      // What asks for more than gradients has no row of fed ones.
      if (row.contains("fed")) all.push_back({key, dtype, true});
    }
  }
  return all;
}

// Both sides round differently in each operation. float64: 1e-16 a step, which 100 steps of a
// problem that is not convex blow up to some 1e-13. float32 is held against the float64 figures:
// 6e-8 a step, blown up to some 1e-5. An error in a formula (place of eps, a bias correction, order
// of the chain) shows at 1e-3 and more.
// prodigy_options: the estimate that its rate is grows by leaps, and what rounds differently leaps
// at another step: with other orders of the products' sums 4e-4 were seen. Its formula is held to
// the tolerances above in float64 and where gradients are fed.
double tolerance(DType dtype, const std::string& row = {}, bool fed = false) {
  if (dtype == DType::float64) return 1e-10;
  return row == "prodigy_options" && !fed ? 2e-3 : 1e-4;
}

class Trajectory : public testing::TestWithParam<Case> {};

// Relative to the largest element of the tensor.
void expect_near(const std::vector<Array>& got, const Json& want, double allowed,
                 const std::string& what) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto expected = want[i].get<std::vector<double>>();
    const auto values = got[i].to_vector();
    ASSERT_EQ(values.size(), expected.size());
    double largest = 0, error = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      largest = std::max(largest, std::abs(expected[k]));
      // Not std::max: NaN must fail.
      if (!(std::abs(values[k] - expected[k]) <= error)) error = std::abs(values[k] - expected[k]);
    }
    EXPECT_LE(error, allowed * largest) << what << ", parameter " << i;
  }
}

TEST_P(Trajectory, IsThatOfTheGoldenRow) {
  const auto& [row, dtype, fed] = GetParam();
  const auto& json = trajectories().at(row);
  const auto& expected = json.at(fed ? "fed" : "loss");
  const auto problem = golden_problem(trajectories().at("problem"), dtype, fed);
  const auto optimizer =
      optimizer_from(json.at("optimizer"), json.at("options"), json.at("schedule"), 100);
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  std::size_t compared = 0;
  for (std::int64_t t = 0; t < 100; ++t) {
    stepper.step(t);
    const auto at = expected.find(std::to_string(t + 1));
    if (at == expected.end()) continue;
    const auto step = "step " + std::to_string(t + 1);
    const double allowed = tolerance(dtype, row, fed);
    expect_near(stepper.state.parameters, *at, allowed, step);
    if (!fed && json.contains("averaged")) {
      expect_near(averages(problem, optimizer, stepper.state), json["averaged"].at(at.key()),
                  allowed, "average of " + step);
    }
    ++compared;
  }
  EXPECT_EQ(compared, expected.size());
}

INSTANTIATE_TEST_SUITE_P(, Trajectory, testing::ValuesIn(cases()), [](const auto& test) {
  const auto& c = test.param;
  return c.row + "_" + std::string(name_of(c.dtype)) + (c.fed ? "_fed" : "");
});

TEST(OptimizerRegistry, EveryOptimizerHasAGoldenRow) {
  std::vector<std::string> covered;
  for (const auto& [key, row] : trajectories().items()) {
    if (is_row(key)) covered.push_back(row.at("optimizer"));
  }
  for (const auto& name : optimizers().names()) {
    EXPECT_THAT(covered, testing::Contains(name)) << "add a row to tests/golden/optim_golden.py";
  }
}

// Options that PyTorch has too default to PyTorch's values.
TEST(OptimizerRegistry, DefaultsAreThoseOfPyTorch) {
  for (const auto& [name, defaults] : trajectories().at("defaults").items()) {
    const auto& entry = optimizers().at(name);
    const auto options = resolve(entry.options, {}, name);
    int compared = 0;
    for (const auto& [key, value] : defaults.items()) {
      if (!options.has(key)) continue;  // "foreach", "maximize", ...
      ++compared;
      if (value.is_boolean()) {
        EXPECT_EQ(options.boolean(key), value.get<bool>()) << name << "." << key;
      } else {
        EXPECT_EQ(options.number(key), value.get<double>()) << name << "." << key;
      }
    }
    // Options whose default depends on `convention` have none here; the rows named _default see it.
    EXPECT_GE(compared, 2) << name;
  }
}

bool is_shared(const std::string& key) {
  static const auto around = [] {
    std::vector<std::string> keys{"clip_norm", "clip_value",  "clip_percentile",
                                  "clip_each", "clip_window", "clip_adaptive",
                                  "l1",        "l2",          "prox",
                                  "decay_all"};
    for (const auto& option : wrapper_options()) keys.push_back(option.key);
    return keys;
  }();
  return std::ranges::find(around, key) != around.end();
}

// Random numbers that no row can know: wrappers_test.cpp looks at their distribution.
bool is_random(const std::string& key) { return key.starts_with("gradient_noise"); }

// An option that no row sets could mean anything.
TEST(OptimizerRegistry, EveryOptionIsSetInSomeRow) {
  for (const auto& [name, entry] : optimizers().entries()) {
    for (const auto& option : entry.options) {
      bool set = is_random(option.key);
      for (const auto& [key, row] : trajectories().items()) {
        if (!is_row(key) || !row.at("options").contains(option.key)) continue;
        // The options that all optimizers share need one row of any of them.
        set = set || is_shared(option.key) || row.at("optimizer") == name;
      }
      EXPECT_TRUE(set) << name << "." << option.key << " is in no row of optim_golden.py";
      EXPECT_FALSE(option.help.empty()) << name << "." << option.key;
    }
    EXPECT_FALSE(entry.help.empty()) << name;
  }
}

}  // namespace
}  // namespace descent::optim::test
