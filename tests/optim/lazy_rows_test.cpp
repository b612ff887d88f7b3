// Tables whose looked-up rows alone are updated, against the same optimizer on whole gradients.
#include "descent/optim/lazy_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "descent/optim/partition.h"
#include "descent/optim/rule.h"
#include "descent/optim/wrappers.h"

namespace descent::optim::test {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kRows = 23, kWidth = 5, kSteps = 130;

// Numbers that depend on where they stand alone.
double draw(std::int64_t step, std::int64_t place) {
  const auto bits =
      fold_in(fold_in(7, static_cast<std::uint64_t>(step)), static_cast<std::uint64_t>(place));
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// Rows 0 to 5 come up all the time, often twice in a batch; 6 to 16 in spells 20 steps apart; 17
// twice, 110 steps apart; 18 to 22 never.
std::int64_t token(std::int64_t step, std::int64_t place) {
  if (place == 3 && (step == 2 || step == 112)) return 17;
  const double rows = step % 40 < 20 ? 6 : 17;
  return static_cast<std::int64_t>(draw(step, place) * rows);
}

struct Setting {
  DType dtype = DType::float64;
  int shards = 1, threads = 1;
  std::int64_t period = 16, rows = kRows, tokens = 8;
};

// A table and a bias, of which each step feeds the gradients: those of the tokens' rows.
class Bed {
 public:
  Bed(Optimizer optimizer, bool sparse, Setting setting)
      : setting_(setting),
        info_{{"table", {setting.dtype, {setting.rows, kWidth}}},
              {"bias", {setting.dtype, {kWidth}}, false}},
        optimizer_(sparse ? lazy_rows(optimizer, info_, {0}, setting.period)
                          : std::move(optimizer)) {
    for (const auto& p : info_) arrays_.emplace_back(p.type.dtype, p.type.shape);
    for (std::int64_t i = 0; i < arrays_[0].size(); ++i) arrays_[0].set_item(i, draw(-1, i) - 0.5);
    for (const auto& s : optimizer_->state(info_)) {
      arrays_.emplace_back(s.type.dtype, s.type.shape);
      for (std::int64_t i = 0; s.initial != 0 && i < arrays_.back().size(); ++i)
        arrays_.back().set_item(i, s.initial);
    }
    states_ = arrays_.size() - 2;
    scalars_ = optimizer_->scalars(setting.dtype);
    compile_plan();
  }

  // `bad`: with a gradient that is not finite.
  void step(std::int64_t t, bool bad = false) {
    const auto first = static_cast<int>(arrays_.size());
    for (std::size_t k = 0; k < scalars_.size(); ++k)
      scalar_arrays_[k].set_item(0, scalars_[k].at(t));
    Array index = plan_.input(first + static_cast<int>(scalars_.size()));
    Array gradient = plan_.input(first + static_cast<int>(scalars_.size()) + 1);
    for (std::int64_t i = 0; i < setting_.tokens; ++i) {
      // Of a larger table any row.
      index.as<std::int64_t>()[static_cast<std::size_t>(i)] =
          setting_.rows == kRows
              ? token(t, i)
              : static_cast<std::int64_t>(draw(t, i) * static_cast<double>(setting_.rows));
      for (std::int64_t k = 0; k < kWidth; ++k)
        gradient.set_item(i * kWidth + k, draw(t, 1000 + i * kWidth + k) - 0.5);
    }
    if (bad) gradient.set_item(3, NAN);
    plan_.run();
  }

  // What is validated and saved.
  std::vector<Array> weights() const {
    std::vector<PlanInput> in;
    for (const auto& a : arrays_) in.push_back({{a.dtype(), a.shape()}, "", a});
    const auto averaged = [&](ValueSpan v) {
      auto all = optimizer_->averaged(v.first(2), v.subspan(2), info_);
      return all.empty() ? Values(v.begin(), v.begin() + 2) : all;
    };
    Plan plan = compile(averaged, in);
    plan.run();
    return {plan.output(0).clone(), plan.output(1).clone()};
  }
  const std::vector<Array>& arrays() const { return arrays_; }
  const Plan& plan() const { return plan_; }
  void take(const Bed& other) {
    for (std::size_t i = 0; i < arrays_.size(); ++i)
      std::memcpy(arrays_[i].raw(), other.arrays_[i].raw(), arrays_[i].bytes());
  }

 private:
  Values trace(ValueSpan in) const {
    const ValueSpan parameters = in.first(2), state = in.subspan(2, states_),
                    scalars = in.subspan(2 + states_, scalars_.size());
    const Value &index = in[in.size() - 2], &g = in[in.size() - 1];
    const Value bias = batch_sum(g, {0});
    const Value good = is_finite(sum(bias));
    const UpdateContext context{.parameters = parameters, .info = info_, .scalars = scalars};
    Updated next;
    if (const auto* lazy = as_lazy_rows(optimizer_)) {
      std::map<std::size_t, LazyRows::Looked> looked;
      const auto& rows = looked[0] = lazy->look_up(0, index, setting_.shards, parameters, state);
      const Value rows_gradient = all_reduce_sum(scatter_add(g, rows.places, rows.rows.shape()[0]));
      next = lazy->apply(Values{rows_gradient, bias}, state, context, looked, good);
    } else {
      const Value whole = all_reduce_sum(scatter_add(g, index, setting_.rows));
      next = apply_optimizer(optimizer_, Values{whole, bias}, state, context);
      for (std::size_t i = 0; i < 2; ++i)
        next.parameters[i] = select(good, next.parameters[i], parameters[i]);
      for (std::size_t k = 0; k < states_; ++k)
        next.state[k] = select(good, next.state[k], state[k]);
    }
    Values out = next.parameters;
    out.insert(out.end(), next.state.begin(), next.state.end());
    return out;
  }

  void compile_plan() {
    std::vector<PlanInput> in;
    for (const auto& a : arrays_) in.push_back({{a.dtype(), a.shape()}, "state", a});
    for (std::size_t k = 0; k < scalars_.size(); ++k) {
      scalar_arrays_.emplace_back(setting_.dtype, Shape{});
      in.push_back({{setting_.dtype, {}}, "scalar", scalar_arrays_.back()});
    }
    const std::int64_t n = setting_.tokens / setting_.shards;
    in.push_back({{DType::int64, {n}, true}, "index", {}});
    in.push_back({{setting_.dtype, {n, kWidth}, true}, "gradient", {}});
    CompileOptions options;
    options.shards = setting_.shards;
    options.pool = std::make_shared<ThreadPool>(setting_.threads);
    options.verify = true;
    for (int i = 0; i < static_cast<int>(arrays_.size()); ++i) options.donate[i] = i;
    plan_ = compile([&](ValueSpan v) { return trace(v); }, in, options);
  }

  Setting setting_;
  std::vector<Parameter> info_;
  Optimizer optimizer_;
  std::vector<HostScalar> scalars_;
  std::vector<Array> arrays_, scalar_arrays_;  // parameters, then state
  std::size_t states_ = 0;
  Plan plan_;
};

Rate rate() { return warmup(10, cosine(0.05, 120)); }

struct Case {
  std::string name;
  Optimizer optimizer;
  bool exact = true;  // the norm of all gradients is rounded in another order
};
std::vector<Case> cases() {
  const auto clipped = [](const Optimizer& rule, double weight_decay) {
    return around(rule, {.lr = rate(), .clip_norm = 0.7, .weight_decay = weight_decay});
  };
  return {
      {"sgd", sgd({.lr = rate()})},
      {"sgd_l2", sgd({.lr = rate(), .weight_decay = 0.1})},
      {"momentum", sgd({.lr = rate(), .momentum = 0.9})},
      {"momentum_dampening", sgd({.lr = rate(), .momentum = 0.9, .dampening = 0.3})},
      {"momentum_l2", sgd({.lr = rate(), .momentum = 0.9, .weight_decay = 0.1})},
      {"nesterov_l2", sgd({.lr = rate(), .momentum = 0.8, .nesterov = true, .weight_decay = 0.1})},
      {"momentum_decoupled", around(trace({.momentum = 0.9}), {.lr = rate(), .weight_decay = 0.1})},
      {"momentum_keras",
       sgd({.lr = rate(), .momentum = 0.9, .weight_decay = 0.1, .convention = Convention::keras})},
      {"adam", adam({.lr = rate()})},
      {"adam_l2", adam({.lr = rate(), .weight_decay = 0.1})},
      {"adam_amsgrad", adam({.lr = rate(), .amsgrad = true})},
      {"adam_keras", adam({.lr = rate(), .weight_decay = 0.1, .convention = Convention::keras})},
      {"adamw", adamw({.lr = rate(), .weight_decay = 0.1})},
      {"adamw_paper",
       adamw({.lr = rate(), .weight_decay = 0.001, .convention = Convention::paper})},
      {"adagrad", adagrad({.lr = rate(), .lr_decay = 0.01, .weight_decay = 0.1})},
      {"rmsprop", rmsprop({.lr = rate(), .momentum = 0.5, .weight_decay = 0.1})},
      {"sgd_clipped", clipped(trace({.momentum = 0.9}), 0), false},
      {"adam_clipped", clipped(scale_by_adam(), 0), false},
      {"adamw_clipped", clipped(scale_by_adam(), 0.1), false},
      {"groups",
       chain({clip_by_global_norm(0.7),
              partition({{{"table"}, adamw({.lr = cosine(0.1, 120), .weight_decay = 0.2}), {}}},
                        sgd({.lr = rate(), .momentum = 0.9}))}),
       false},
  };
}

class LazyRowsCases : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, LazyRowsCases, testing::ValuesIn(cases()),
                         [](const auto& row) { return row.param.name; });

double largest_difference(const std::vector<Array>& a, const std::vector<Array>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i].size(); ++k)
      most = std::max(most, std::abs(a[i].item(k) - b[i].item(k)));
  }
  return most;
}

TEST_P(LazyRowsCases, EqualTheWholeUpdateInEveryStep) {
  const Case& c = GetParam();
  for (const DType dtype : {DType::float32, DType::float64}) {
    for (const int shards : {1, 2}) {
      const Setting setting{.dtype = dtype, .shards = shards};
      Bed dense(c.optimizer, false, setting), sparse(c.optimizer, true, setting);
      // The norm's rounding, of some ulps, reaches the weights through each of the steps.
      const double allowed = c.exact ? 0 : dtype == DType::float64 ? 1e-12 : 2e-5;
      const auto start = dense.weights();
      for (std::int64_t t = 0; t < kSteps; ++t) {
        dense.step(t), sparse.step(t);
        ASSERT_LE(largest_difference(dense.weights(), sparse.weights()), allowed)
            << "step " << t << ", " << name_of(dtype) << ", " << shards << " shards";
      }
      EXPECT_GT(largest_difference(dense.weights(), start), 0.1);
    }
  }
}

// So many rows that the threads share them.
TEST_P(LazyRowsCases, DoNotDependOnThreads) {
  const Case& c = GetParam();
  Setting setting{.dtype = DType::float32, .shards = 2, .period = 3, .rows = 1500, .tokens = 512};
  Bed one(c.optimizer, true, setting);
  setting.threads = 2;
  Bed two(c.optimizer, true, setting);
  for (std::int64_t t = 0; t < 20; ++t) one.step(t), two.step(t);
  for (std::size_t i = 0; i < one.arrays().size(); ++i)
    EXPECT_TRUE(identical(one.arrays()[i], two.arrays()[i])) << i;
}

TEST_P(LazyRowsCases, DoNotDependOnThePeriod) {
  const Case& c = GetParam();
  Bed usual(c.optimizer, true, {.dtype = DType::float32, .shards = 2});
  Bed often(c.optimizer, true, {.dtype = DType::float32, .shards = 2, .period = 1});
  Bed never(c.optimizer, true, {.dtype = DType::float32, .shards = 2, .period = 1000});
  for (std::int64_t t = 0; t < kSteps; ++t) usual.step(t), often.step(t), never.step(t);
  EXPECT_EQ(largest_difference(usual.weights(), often.weights()), 0);
  EXPECT_EQ(largest_difference(usual.weights(), never.weights()), 0);
}

TEST_P(LazyRowsCases, KeepEverythingInTheState) {
  const Case& c = GetParam();
  const Setting setting{.dtype = DType::float32, .shards = 2};
  Bed whole(c.optimizer, true, setting), first(c.optimizer, true, setting);
  for (std::int64_t t = 0; t < kSteps; ++t) whole.step(t);
  for (std::int64_t t = 0; t < 61; ++t) first.step(t);
  Bed second(c.optimizer, true, setting);
  second.take(first);
  for (std::int64_t t = 61; t < kSteps; ++t) second.step(t);
  for (std::size_t i = 0; i < whole.arrays().size(); ++i)
    EXPECT_TRUE(identical(whole.arrays()[i], second.arrays()[i])) << i;
}

TEST_P(LazyRowsCases, LeaveAllAsItIsWhereTheStepIsNotFinite) {
  const Case& c = GetParam();
  const Setting setting{.dtype = DType::float32, .shards = 2};
  Bed bed(c.optimizer, true, setting), other(c.optimizer, true, setting);
  for (std::int64_t t = 0; t < 50; ++t) bed.step(t), other.step(t);
  other.step(50, true);
  for (std::size_t i = 0; i < bed.arrays().size(); ++i)
    EXPECT_TRUE(identical(bed.arrays()[i], other.arrays()[i])) << i;
  bed.step(50), other.step(50);
  for (std::size_t i = 0; i < bed.arrays().size(); ++i)
    EXPECT_TRUE(identical(bed.arrays()[i], other.arrays()[i])) << i;
}

// Two tables of unequal size, with the last rows of both out of turn.
TEST(LazyRows, MayBeSeveralTables) {
  const std::vector<Parameter> info{{"a", {DType::float64, {7, 2}}},
                                    {"b", {DType::float64, {5, 3}}}};
  const Optimizer dense = adam({.lr = rate(), .weight_decay = 0.1});
  const Optimizer sparse = lazy_rows(dense, info, {0, 1}, 4);
  const auto* lazy = as_lazy_rows(sparse);
  const EagerScope eager;
  const auto zeros_of = [&](const Optimizer& optimizer) {
    Values all;
    for (const auto& s : optimizer->state(info))
      all.push_back(constant(Array(s.type.dtype, s.type.shape)));
    return all;
  };
  const Values ones{constant(Array(DType::float64, {7, 2})) + 1.0,
                    constant(Array(DType::float64, {5, 3})) + 1.0};
  Updated whole{ones, zeros_of(dense)}, rows{ones, zeros_of(sparse)};
  for (std::int64_t t = 0; t < 30; ++t) {
    Values scalars, whole_gradients, row_gradients;
    for (const auto& s : dense->scalars(DType::float64))
      scalars.push_back(scalar(s.at(t), DType::float64));
    std::map<std::size_t, LazyRows::Looked> looked;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t n = info[i].type.shape[0];
      const auto place = static_cast<std::int64_t>(i);
      const Value index = constant(Array::from<std::int64_t>(
          {static_cast<std::int64_t>(draw(t, place) * static_cast<double>(n)),
           static_cast<std::int64_t>(draw(t, 10 + place) * static_cast<double>(n))},
          {2}));
      const Value g = gather(ones[i], index) * (draw(t, 20) - 0.5);
      looked[i] = lazy->look_up(i, index, 1, rows.parameters, rows.state);
      whole_gradients.push_back(scatter_add(g, index, n));
      row_gradients.push_back(scatter_add(g, looked[i].places, 2));
    }
    whole = apply_optimizer(dense, info, whole.parameters, whole_gradients, whole.state, scalars);
    rows = lazy->apply(row_gradients, rows.state,
                       {.parameters = rows.parameters, .info = info, .scalars = scalars}, looked,
                       scalar(1, DType::float64));
    const Values caught = lazy->averaged(rows.parameters, rows.state, info);
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(caught[i].array().to_vector(), whole.parameters[i].array().to_vector()) << t;
  }
}

// A table in its own memory, and room for the rows of a batch alone.
TEST(LazyRows, HasNoWorkOfTheTablesSize) {
  const std::int64_t rows = 100000, width = 16;
  const std::vector<Parameter> info{{"table", {DType::float32, {rows, width}}}};
  const auto optimizer = lazy_rows(adamw({.lr = 0.1}), info, {0});
  const auto* lazy = as_lazy_rows(optimizer);
  std::vector<PlanInput> in{{info[0].type, "table", Array(DType::float32, {rows, width})}};
  for (const auto& s : optimizer->state(info))
    in.push_back({s.type, s.name, Array(s.type.dtype, s.type.shape)});
  const std::size_t states = in.size() - 1;
  for (const auto& s : optimizer->scalars(DType::float32))
    in.push_back({{DType::float32, {}}, s.name, {}});
  in.push_back({{DType::int64, {32}}, "index", {}});
  CompileOptions options;
  for (int i = 0; i <= static_cast<int>(states); ++i) options.donate[i] = i;
  const Plan plan = compile(
      [&](ValueSpan v) {
        const UpdateContext context{.parameters = v.first(1),
                                    .info = info,
                                    .scalars = v.subspan(1 + states, in.size() - 2 - states)};
        std::map<std::size_t, LazyRows::Looked> looked;
        looked[0] = lazy->look_up(0, v.back(), 1, v.first(1), v.subspan(1, states));
        const auto next = lazy->apply(Values{looked[0].slots[0] * 0.5}, v.subspan(1, states),
                                      context, looked, scalar(1));
        Values out = next.parameters;
        out.insert(out.end(), next.state.begin(), next.state.end());
        return out;
      },
      in, options);
  // 32 rows of 16 numbers, some values of each; the table has 6.4 MB.
  EXPECT_LT(plan.statistics().arena_bytes, 64 * 1024);
  EXPECT_LT(plan.statistics().flops, 1e5);
}

// ---- what they are not for ----

std::string refusal(const Optimizer& optimizer) {
  const std::vector<Parameter> info{{"table", {DType::float32, {kRows, kWidth}}}};
  try {
    lazy_rows(optimizer, info, {0});
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_EQ(e.where(), "[optimizer]");
    EXPECT_THAT(e.remedy(), HasSubstr("use sgd, adam, adamw, adagrad or rmsprop"));
    return e.message();
  }
  return {};
}

TEST(LazyRows, RefuseOptimizersThatLookAtMoreThanAnElement) {
  const auto with = [](const Optimizer& link) { return chain({link, scale_by_schedule(0.1)}); };
  EXPECT_THAT(refusal(chain({sgd(), average_weights_ema(0.9)})), HasSubstr("averages"));
  EXPECT_THAT(refusal(chain({sgd(), lookahead()})), HasSubstr("averages"));
  EXPECT_THAT(refusal(with(scale_by_soap())), HasSubstr("another kind"));
  EXPECT_THAT(refusal(with(sharpness_aware())), HasSubstr("gradients at other parameters"));
  EXPECT_THAT(refusal(with(gradient_noise(0.1))), HasSubstr("random key"));
  for (const auto& link : {clip_each(1), clip_adaptive(0.1), clip_by_percentile(10), centralize(),
                           scale_by_shampoo()}) {
    EXPECT_THAT(refusal(with(link)), HasSubstr("\"table\" is sparse")) << link->name();
  }
}

TEST(LazyRows, RefuseWholeGradients) {
  const std::vector<Parameter> info{{"table", {DType::float32, {kRows, kWidth}}}};
  const auto optimizer = lazy_rows(sgd(), info, {0});
  Values values{input(info[0].type)}, state, scalars{input({DType::float32, {}})};
  for (const auto& s : optimizer->state(info)) state.push_back(input(s.type));
  EXPECT_THROW(apply_optimizer(optimizer, info, values, values, state, scalars), Error);
}

}  // namespace
}  // namespace descent::optim::test
