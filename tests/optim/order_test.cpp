// The order in which an optimizer's options act (optim/optimizers.h): clip_norm, clip_value, pieces
// before the rule, l1, l2, the rule, decoupled decay, the rate, pieces after the rate.
#include <gmock/gmock.h>

#include <cmath>

#include "descent/optim/wrappers.h"
#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

const Problem& problem() {
  static const auto p = golden_problem(trajectories().at("problem"), DType::float64, false);
  return p;
}

State after(const Optimizer& optimizer, std::int64_t steps = 6) {
  State state = start_of(problem(), optimizer);
  for (std::int64_t t = 0; t < steps; ++t) state = eager_step(problem(), optimizer, state, t);
  return state;
}

bool same_weights(const State& a, const State& b) {
  return std::ranges::equal(a.parameters, b.parameters, identical);
}

Optimizer named(const std::string& name, const Json& options) {
  return optimizer_from(name, options, nullptr, 100);
}

TEST(Order, IsThatOfTheDocumentation) {
  const auto made = named("adamw", {{"lr", 0.02},
                                    {"weight_decay", 0.3},
                                    {"clip_norm", 0.4},
                                    {"clip_value", 0.1},
                                    {"l1", 0.01},
                                    {"l2", 0.2},
                                    {"eps", 0.1},
                                    {"centralize", true},
                                    {"lookahead_steps", 3}});
  const std::vector<Optimizer> links = {
      clip_by_global_norm(0.4), clip_by_value(0.1),      centralize(),
      l1_penalty(0.01),         l2_penalty(0.2),         scale_by_adam({.eps = 0.1}),
      decayed_weights(0.3),     scale_by_schedule(0.02), lookahead({.steps = 3})};
  EXPECT_TRUE(same_weights(after(made), after(chain(links))));
  // Any two neighbours the other way round are another optimizer, where the two do not commute:
  // centralize() takes the mean of what clip_by_value() has cut, and penalties add up.
  for (std::size_t i = 0; i + 1 < links.size(); ++i) {
    if (i == 3) continue;
    auto swapped = links;
    std::swap(swapped[i], swapped[i + 1]);
    EXPECT_FALSE(same_weights(after(made), after(chain(swapped))))
        << "links " << i << ", " << i + 1;
  }
}

// Clipping sees the gradient of the data alone: the pull of a decay is not cut.
TEST(Order, DecayIsNotClipped) {
  const double lr = 0.1, decay = 0.5;
  for (const auto& [name, option] : {std::pair("sgd", "weight_decay"), std::pair("sgd", "l2")}) {
    // A gradient of next to nothing is left.
    const auto state = after(named(name, {{"lr", lr}, {option, decay}, {"clip_norm", 1e-12}}), 1);
    const auto start = problem().start[0].to_vector(), end = state.parameters[0].to_vector();
    // 1e-12: what is left of the gradient.
    for (std::size_t i = 0; i < start.size(); ++i)
      EXPECT_NEAR(end[i], start[i] * (1 - lr * decay), 1e-12) << option;
    EXPECT_TRUE(std::ranges::equal(problem().start[1].to_vector(), state.parameters[1].to_vector(),
                                   [](double a, double b) { return std::abs(a - b) < 1e-12; }))
        << "a bias is not decayed";
  }
}

// Decoupled decay does not pass through the rule: with an Adam that stands still it is all there
// is, and the rate multiplies it.
TEST(Order, DecoupledDecayStandsAfterTheRule) {
  const auto state = after(named("adamw", {{"lr", 0.1}, {"weight_decay", 0.5}, {"eps", 1e14}}), 1);
  const auto start = problem().start[2].to_vector(), end = state.parameters[2].to_vector();
  for (std::size_t i = 0; i < start.size(); ++i) EXPECT_NEAR(end[i], 0.95 * start[i], 1e-13);
}

}  // namespace
}  // namespace descent::optim::test
