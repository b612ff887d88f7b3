#include "descent/optim/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "descent/base/error.h"
#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

Json problem_json() { return trajectories().at("problem"); }

// The parameters [first, last) alone. Fed gradients: what one part does says nothing to another.
Problem part_of(const Problem& whole, std::size_t first, std::size_t last) {
  const auto cut = [&](const auto& all) {
    return std::vector(all.begin() + static_cast<std::ptrdiff_t>(first),
                       all.begin() + static_cast<std::ptrdiff_t>(last));
  };
  Problem part{cut(whole.info), cut(whole.start), {}, {}};
  for (const auto& step : whole.fed) part.fed.push_back(cut(step));
  return part;
}

Options options_for(const std::string& name, const Json& given) {
  return resolve(optimizers().at(name).options, options_of(given), name);
}

// w and bias are one group (its own rate and decay, under a cosine), u follows the optimizer.
TEST(Partition, EqualsTwoOptimizers) {
  for (const char* name : {"sgd", "adam", "adamw", "rmsprop", "adagrad"}) {
    const Problem whole = golden_problem(problem_json(), DType::float32, true);
    const auto options = options_for(name, {{"lr", 0.01}, {"weight_decay", 0.1}});
    auto other = options;
    other.set("weight_decay", 0.02);
    const auto all =
        grouped(name, options, cosine(0.01, 50), {{{"w", "b*"}, 0.02, cosine(0.3, 50)}});
    const auto first = optimizers().at(name).make(other, cosine(0.3, 50));
    const auto second = optimizers().at(name).make(options, cosine(0.01, 50));
    const Problem head = part_of(whole, 0, 2), rest = part_of(whole, 2, 3);
    Stepper together(whole, all, start_of(whole, all));
    Stepper a(head, first, start_of(head, first)), b(rest, second, start_of(rest, second));
    for (std::int64_t t = 0; t < std::ssize(whole.fed); ++t) {
      together.step(t), a.step(t), b.step(t);
      for (std::size_t i = 0; i < 3; ++i) {
        const auto& want = i < 2 ? a.state.parameters[i] : b.state.parameters[i - 2];
        ASSERT_TRUE(identical(together.state.parameters[i], want)) << name << " " << t << " " << i;
      }
    }
    EXPECT_FALSE(identical(a.state.parameters[0], head.start[0]));
  }
}

TEST(Partition, ClippingSeesAllParametersTogether) {
  const Problem whole = golden_problem(problem_json(), DType::float64, true);
  const auto options = options_for("sgd", {{"lr", 0.1}, {"clip_norm", 0.05}});
  const auto plain = optimizers().at("sgd").make(options, constant(0.1));
  const auto all = grouped("sgd", options, constant(0.1), {{{"w"}, {}, constant(0.1)}});
  Stepper a(whole, plain, start_of(whole, plain)), b(whole, all, start_of(whole, all));
  for (std::int64_t t = 0; t < std::ssize(whole.fed); ++t) {
    a.step(t), b.step(t);
    ASSERT_EQ(a.state.parameters.size(), b.state.parameters.size());
    for (std::size_t i = 0; i < 3; ++i)
      ASSERT_TRUE(identical(a.state.parameters[i], b.state.parameters[i])) << t << " " << i;
  }
}

TEST(Partition, CompiledEqualsEager) {
  const Problem problem = golden_problem(problem_json(), DType::float32, false);
  const auto optimizer = partition({{{"w"}, adam()}, {{"u"}, sgd({.momentum = 0.9})}}, rmsprop());
  Stepper stepper(problem, optimizer, start_of(problem, optimizer));
  State eager = start_of(problem, optimizer);
  for (std::int64_t t = 0; t < 20; ++t) {
    stepper.step(t);
    eager = eager_step(problem, optimizer, eager, t);
    ASSERT_TRUE(stepper.state == eager) << t;
  }
}

TEST(Partition, GroupsWithoutMembersAreErrors) {
  const std::vector<std::string> names = {"0.weight", "0.bias", "head.weight"};
  require_members({{{"head.*"}, {}, {}}, {{"*.bias"}, {}, {}}}, names);
  const auto error_of = [&](const std::vector<Group>& groups) -> std::string {
    try {
      require_members(groups, names);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({{{"haed.weight"}, {}, {}}}),
              testing::AllOf(testing::HasSubstr("optimizer.groups.0.match"),
                             testing::HasSubstr("did you mean \"head.weight\"?")));
  EXPECT_THAT(error_of({{{"*"}, {}, {}}, {{"head.*"}, {}, {}}}),
              testing::HasSubstr("optimizer.groups.1.match: the groups before have all"));
}

}  // namespace
}  // namespace descent::optim::test
