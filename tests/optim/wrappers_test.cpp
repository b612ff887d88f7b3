// What is put around optimizers: the noise, what needs more than gradients, averages, and the
// places of the pieces.
#include "descent/optim/wrappers.h"

#include <gmock/gmock.h>

#include "descent/base/error.h"
#include "descent/optim/muon.h"
#include "descent/optim/partition.h"
#include "descent/optim/rate_free.h"
#include "descent/optim/sophia.h"
#include "tests/optim/stepper.h"
#include "tests/support/errors.h"

namespace descent::optim::test {
namespace {

using descent::test::error_of;

Problem network(bool fed = false) {
  return golden_problem(trajectories().at("problem"), DType::float64, fed);
}

TEST(Wrappers, SayWhatTheyNeed) {
  const auto run = [](const Optimizer& optimizer) {
    const auto problem = network(true);
    const auto state = start_of(problem, optimizer);
    return error_of([&] { eager_step(problem, optimizer, state, 0); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(run(sharpness_aware()), HasSubstr("sam needs gradients at other parameters"));
  EXPECT_THAT(run(scale_by_polyak()), HasSubstr("polyak needs the loss of the step"));
  EXPECT_THAT(run(sophia()), HasSubstr("sophia needs Hessian-vector products"));
  EXPECT_THAT(error_of([] {
                optimizer_from("sgd", {{"ema_decay", 0.9}, {"swa_start", 3}}, nullptr, 0);
              }),
              HasSubstr("one average can be saved"));
}

// 10000 draws: mean and variance within five standard errors (0.05, and sqrt(2) of the variance).
TEST(GradientNoise, HasTheVarianceOfTheStep) {
  const std::vector<Parameter> info{{"p", {DType::float64, {10000}, false}}};
  const auto noise = gradient_noise(0.09, 0.5);
  const auto draw = [&](std::int64_t step) {
    const EagerScope scope;
    const Values p{zeros(info[0].type)},
        scalars{scalar(noise->scalars(DType::float64)[0].at(step), DType::float64)};
    Values updates = p, state;
    const auto key = computed({Array::scalar<std::int64_t>(7 + step)}, false);
    noise->update(updates, state, {.parameters = p, .info = info, .scalars = scalars, .key = key});
    return updates[0].array().to_vector();
  };
  for (const std::int64_t step : {0, 8}) {
    const auto values = draw(step);
    const double variance = 0.09 / std::sqrt(1.0 + static_cast<double>(step));
    double mean = 0, square = 0;
    for (const double x : values) mean += x / 1e4, square += x * x / 1e4;
    EXPECT_NEAR(mean, 0, 5 * std::sqrt(variance / 1e4));
    EXPECT_NEAR(square, variance, 5 * variance * std::sqrt(2 / 1e4));
  }
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
}

// Two configured optimizers take the same path: bit for bit.
void expect_same(const Optimizer& a, const Optimizer& b) {
  const auto problem = network();
  State x = start_of(problem, a), y = start_of(problem, b);
  for (std::int64_t t = 0; t < 7; ++t) {
    x = eager_step(problem, a, x, t);
    y = eager_step(problem, b, y, t);
  }
  EXPECT_TRUE(std::ranges::equal(x.parameters, y.parameters, identical));
}

TEST(Wrappers, StandInTheirPlaces) {
  const auto made = optimizer_from("sgd",
                                   {{"lr", 0.1},
                                    {"momentum", 0.5},
                                    {"clip_norm", 0.2},
                                    {"l2", 0.1},
                                    {"sam", 0.05},
                                    {"centralize", true},
                                    {"gradient_noise", 0.01},
                                    {"gradient_noise_gamma", 0.3},
                                    {"lookahead_steps", 3},
                                    {"ema_decay", 0.9}},
                                   nullptr, 0);
  expect_same(made,
              chain({sharpness_aware({.rho = 0.05}), clip_by_global_norm(0.2), centralize(),
                     gradient_noise(0.01, 0.3), l2_penalty(0.1), trace({.momentum = 0.5}),
                     scale_by_schedule(0.1), lookahead({.steps = 3}), average_weights_ema(0.9)}));
}

TEST(Wrappers, ConstructorsAreWhatTheRegistryMakes) {
  const auto made = [](const std::string& name, const Json& options) {
    return optimizer_from(name, options, nullptr, 0);
  };
  expect_same(made("muon", Json::object()), muon());
  expect_same(made("muon", {{"lr", 0.1},
                            {"adam_lr", 0.05},
                            {"momentum", 0.8},
                            {"adjust_lr_fn", "match_rms_adamw"},
                            {"weight_decay", 0.2},
                            {"decay_all", true},
                            {"adam_match", {"u"}}}),
              muon({.lr = 0.1,
                    .muon = {.momentum = 0.8, .adjust_lr = MuonScale::AdjustLr::match_rms_adamw},
                    .adam_lr = 0.05,
                    .weight_decay = 0.2,
                    .decayed = every_parameter,
                    .adam_match = {"u"}}));
  expect_same(made("schedule_free_sgd", {{"weight_decay", 0.1}}),
              schedule_free_sgd({.weight_decay = 0.1}));
  expect_same(made("schedule_free_adamw", {{"weight_decay", 0.1}, {"beta2", 0.9}}),
              schedule_free_adamw({.b2 = 0.9, .weight_decay = 0.1}));
  expect_same(made("prodigy", {{"beta3", 0.9}, {"weight_decay", 0.1}}),
              prodigy({.b3 = 0.9, .weight_decay = 0.1}));
  expect_same(made("dadapt_adam", {{"d0", 1e-3}, {"bias_correction", true}}),
              dadapt_adam({.d0 = 1e-3, .bias_correction = true}));
  expect_same(made("dog", {{"initial_distance", 1e-3}}),
              chain({scale_by_dog({.initial_distance = 1e-3}), scale_by_schedule(1.0)}));
  expect_same(made("polyak", {{"max_step", 0.1}}),
              chain({scale_by_polyak({.max_step = 0.1}), scale_by_schedule(1.0)}));
  expect_same(made("sophia", {{"gamma", 0.5}, {"weight_decay", 0.2}}),
              sophia({.scale = {.gamma = 0.5}, .weight_decay = 0.2}));
}

TEST(Wrappers, RefuseWhatHasNoMeaning) {
  using testing::HasSubstr;
  EXPECT_THAT(error_of([] { schedule_free_sgd({.beta = 0}); }),
              HasSubstr("beta1 must be greater than 0"));
  EXPECT_THAT(error_of([] { lookahead({.steps = 0}); }), HasSubstr("steps must be greater than 0"));
  EXPECT_THAT(error_of([] { average_weights_ema(1); }), HasSubstr("decay must be at least 0"));
  EXPECT_THAT(error_of([] {
                optimizer_from("muon", {{"ns_coefficients", {1.5, 2.5}}}, nullptr, 0);
              }),
              HasSubstr("ns_coefficients must be three numbers, not 2"));
}

// Groups that change nothing: SAM and clipping still look at all parameters together.
TEST(Wrappers, LookAtAllGroupsTogether) {
  const auto& entry = optimizers().at("sgd");
  const Json given = {{"lr", 0.1}, {"momentum", 0.5}, {"clip_norm", 0.2}, {"sam", 0.3}};
  const auto options = resolve(entry.options, options_of(given), "sgd");
  const auto one = entry.make(options, constant(0.1));
  const Group group{.match = {"w"}, .weight_decay = {}, .schedule = constant(0.1)};
  expect_same(one, grouped("sgd", options, constant(0.1), {group}));
}

// Parts with and without an average; a part of Sophia's sees the Hessian of its own parameters.
TEST(Partition, AveragesAndDifferentiatesByPart) {
  const auto problem = network();
  const auto optimizer =
      partition({{{"w"}, chain({sgd({.lr = 0.1}), average_weights_ema(0.5)}), {}},
                 {{"u"}, sophia({.scale = {.hessian_every = 2}}), {}}},
                sgd({.lr = 0.1}));
  EXPECT_EQ(optimizer->variants(), 2);
  EXPECT_EQ(optimizer->variant(0), 1);
  EXPECT_EQ(optimizer->variant(1), 0);
  State state = start_of(problem, optimizer);
  for (std::int64_t t = 0; t < 3; ++t) state = eager_step(problem, optimizer, state, t);
  const auto averaged = averages(problem, optimizer, state);
  ASSERT_EQ(averaged.size(), 3u);
  EXPECT_FALSE(identical(averaged[0], state.parameters[0]));
  EXPECT_TRUE(identical(averaged[1], state.parameters[1]));
  EXPECT_TRUE(identical(averaged[2], state.parameters[2]));
  EXPECT_TRUE(averages(problem, sgd(), start_of(problem, sgd())).empty());
}

// The variants of a chain are told apart by their digits.
TEST(Chain, CountsVariantsOfItsLinks) {
  const auto two = chain({sgd(), scale_by_sophia({.hessian_every = 2}), scale(1),
                          scale_by_sophia({.hessian_every = 3})});
  EXPECT_EQ(two->variants(), 4);
  std::vector<std::int64_t> seen;
  for (std::int64_t t = 0; t < 6; ++t) seen.push_back(two->variant(t));
  EXPECT_THAT(seen, testing::ElementsAre(3, 0, 1, 2, 1, 0));
}

// f = |x|^2 / 2 in any number of axes, f_min = 0: Polyak's step is 1/2 and halves x each time.
TEST(Polyak, HalvesTheDistanceOnASphere) {
  Problem problem;
  problem.info = {{"x", {DType::float64, {3}, false}}};
  problem.start = {Array::from<double>({3, -4, 12}, {3})};
  problem.loss = [](ValueSpan p) { return 0.5 * sum(square(p[0])); };
  const auto optimizer = chain({scale_by_polyak(), scale(-1)});
  State state = start_of(problem, optimizer);
  for (std::int64_t t = 0; t < 5; ++t) state = eager_step(problem, optimizer, state, t);
  EXPECT_NEAR(state.parameters[0].item(0), 3.0 / 32, 1e-15);  // some ulps of 3
}

}  // namespace
}  // namespace descent::optim::test
