// Recurrent layers as operations: derivatives, the kernels against the same steps in elementary
// operations, masks, truncation, precision.
#include "descent/autodiff/recurrent.h"

#include <gmock/gmock.h>

#include <cstring>
#include <map>

#include "descent/autodiff/recurrent_ops.h"
#include "descent/compile/profile.h"
#include "tests/support/allocations.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

struct Case {
  std::string name;
  Cell cell;
  std::int64_t steps = 4, rows = 3, features = 2, units = 3;
  bool bias = true, initial = true, masked = false, reverse = false;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::int64_t gates(Cell cell) { return cell == Cell::lstm ? 4 : kernels::is_gru(cell) ? 3 : 1; }

// Row n counts steps - n steps, but at least one.
Array mask_of(const Case& c) {
  Array mask(DType::boolean, {c.steps, c.rows});
  for (std::int64_t t = 0; t < c.steps; ++t) {
    for (std::int64_t n = 0; n < c.rows; ++n)
      mask.set_item(t * c.rows + n, t < std::max<std::int64_t>(1, c.steps - n));
  }
  return mask;
}

// x, weight_ih, weight_hh, then biases and states as the case has them.
std::vector<Array> arguments(const Case& c, DType dtype = DType::float64) {
  const std::int64_t g = gates(c.cell) * c.units;
  std::vector<Shape> shapes{{c.steps, c.rows, c.features}, {g, c.features}, {g, c.units}};
  if (c.bias) shapes.insert(shapes.end(), 2, Shape{g});
  if (c.initial) shapes.insert(shapes.end(), c.cell == Cell::lstm ? 2 : 1, Shape{c.rows, c.units});
  std::vector<Array> all;
  for (const auto& shape : shapes) all.push_back(random_array(shape, all.size() + 1, -1, 1, dtype));
  return all;
}

// The result of recurrent(): output and state.
Values results(const Case& c, ValueSpan in, RecurrentOptions options = {}) {
  RecurrentWeights w{in[1], in[2], {}, {}};
  std::size_t next = 3;
  if (c.bias) w.bias_ih = in[next++], w.bias_hh = in[next++];
  RecurrentState initial;
  if (c.initial) initial.h = in[next++];
  if (c.initial && c.cell == Cell::lstm) initial.c = in[next];
  options.reverse = c.reverse;
  const auto r =
      recurrent(c.cell, in[0], w, initial, c.masked ? constant(mask_of(c)) : Value(), options);
  Values all{r.output, r.state.h};
  if (c.cell == Cell::lstm) all.push_back(r.state.c);
  return all;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [name, cell] : {std::pair{"lstm", Cell::lstm},
                                   {"gru", Cell::gru},
                                   {"gru_reset_before", Cell::gru_reset_before},
                                   {"tanh", Cell::rnn_tanh},
                                   {"relu", Cell::rnn_relu}}) {
    const std::string n = name;
    all.push_back({.name = n, .cell = cell});
    all.push_back({.name = n + "_plain", .cell = cell, .bias = false, .initial = false});
    all.push_back({.name = n + "_masked", .cell = cell, .masked = true});
    all.push_back({.name = n + "_masked_reverse",
                   .cell = cell,
                   .initial = false,
                   .masked = true,
                   .reverse = true});
    all.push_back({.name = n + "_reverse", .cell = cell, .reverse = true});
    all.push_back({.name = n + "_one_step", .cell = cell, .steps = 1, .initial = false});
  }
  return all;
}

double largest(const Array& a) {
  double most = 1;
  for (const double v : a.to_vector()) most = std::max(most, std::abs(v));
  return most;
}

class Recurrent : public testing::TestWithParam<Case> {};

TEST_P(Recurrent, Gradients) {
  const Case c = GetParam();
  expect_gradients([&c](ValueSpan in) { return results(c, in); }, arguments(c));
}

// Forward and backward kernel against the reference, with sizes beside whole vectors and blocks.
TEST_P(Recurrent, KernelsEqualTheStepsInElementaryOperations) {
  Case c = GetParam();
  c.steps = 5, c.rows = 13, c.units = 37;
  const RecurrentParameters p{.cell = c.cell,
                              .reverse = c.reverse,
                              .truncate = 2,
                              .initial = c.initial,
                              .masked = c.masked};
  const std::int64_t g = gates(c.cell) * c.units;
  std::vector<Array> x;
  std::vector<Shape> shapes{{c.steps, c.rows, g}, {g, c.units}, {g}, {g}};
  if (c.initial) shapes.insert(shapes.end(), p.lstm() ? 2 : 1, Shape{c.rows, c.units});
  for (const auto& shape : shapes) x.push_back(random_array(shape, x.size() + 1));
  const auto slots = [&](ValueSpan in) {
    ForwardSlots<Value> s{in[0], in[1], in[2], in[3]};
    if (p.initial) s.h0 = in[4];
    if (p.initial && p.lstm()) s.c0 = in[5];
    return s;
  };
  // inputs are a with the identity as weight_ih: x W^T = a.
  Array identity(DType::float64, {g, g});
  for (std::int64_t i = 0; i < g; ++i) identity.set_item(i * g + i, 1);
  const Fn fused = [&](ValueSpan in) {
    const auto s = slots(in);
    const auto r = recurrent(c.cell, s.inputs, {constant(identity), s.weight, s.bias_ih, s.bias_hh},
                             {s.h0, s.c0}, c.masked ? constant(mask_of(c)) : Value(),
                             {.reverse = c.reverse, .truncate = 2});
    return Values{r.state.h, r.output};
  };
  const Fn composed = [&](ValueSpan in) {
    Values all(in.begin(), in.end());
    if (c.masked) all.push_back(constant(mask_of(c)));
    const Value h = recurrent_reference(p, all)[0];
    const Value output =
        c.masked ? where(expand_dims(constant(mask_of(c)), 2), h, scalar(0, DType::float64)) : h;
    return Values{h[c.reverse ? 0 : c.steps - 1], output};
  };
  const auto both = [&](const Fn& f) {
    return evaluate(
        [&](ValueSpan in) {
          Values all = f(in);
          const Values slopes = grad([&](ValueSpan y) {
            Value total = scalar(0, DType::float64);
            for (const auto& v : f(y))
              total = total + sum(v * constant(random_array(v.shape(), 77)));
            return total;
          })(in);
          all.insert(all.end(), slopes.begin(), slopes.end());
          return all;
        },
        x);
  };
  const auto got = both(fused), expected = both(composed);
  for (std::size_t i = 0; i < got.size(); ++i) {
    // Sums of at most 37 products of numbers up to 1, through 5 steps.
    for (std::int64_t k = 0; k < got[i].size(); ++k)
      ASSERT_NEAR(got[i].item(k), expected[i].item(k), 1e-13 * largest(expected[i]))
          << i << " at " << k;
  }
}

// Steps in pieces of k, the state between them without gradient.
TEST_P(Recurrent, TruncationStopsTheGradientBetweenPieces) {
  Case c = GetParam();
  if (c.reverse || c.steps == 1) return;  // the same code; KernelsEqual... covers it
  c.steps = 7;
  constexpr std::int64_t k = 3;
  const auto loss = [](const Values& all) {
    Value total = scalar(0, DType::float64);
    for (const auto& v : all) total = total + sum(sin(v));
    return total;
  };
  const ScalarFn truncated = [&](ValueSpan in) { return loss(results(c, in, {.truncate = k})); };
  const ScalarFn pieces = [&](ValueSpan in) {
    const std::size_t state = c.bias ? 5 : 3;
    Values state_now(in.begin() + static_cast<std::ptrdiff_t>(state), in.end()), outputs, last;
    const Value mask = constant(mask_of(c));
    for (std::int64_t t = 0; t < c.steps; t += k) {
      const std::int64_t end = std::min(t + k, c.steps);
      RecurrentWeights w{in[1], in[2], {}, {}};
      if (c.bias) w.bias_ih = in[3], w.bias_hh = in[4];
      RecurrentState initial;
      if (!state_now.empty()) initial.h = state_now[0];
      if (state_now.size() > 1) initial.c = state_now[1];
      const auto r = recurrent(c.cell, slice(in[0], 0, t, end), w, initial,
                               c.masked ? slice(mask, 0, t, end) : Value());
      outputs.push_back(r.output);
      last = {r.state.h};
      if (r.state.c) last.push_back(r.state.c);
      state_now.clear();
      for (const auto& v : last) state_now.push_back(stop_gradient(v));
    }
    last.insert(last.begin(), concat(outputs, 0));
    return loss(last);
  };
  const auto a = evaluate(value_and_grad(truncated), arguments(c)),
             b = evaluate(value_and_grad(pieces), arguments(c));
  for (std::size_t i = 0; i < a.size(); ++i) {
    // The same sums, those of the weights in another order.
    for (std::int64_t j = 0; j < a[i].size(); ++j)
      EXPECT_NEAR(a[i].item(j), b[i].item(j), 1e-12) << i << " at " << j;
  }
}

// float32 rounds to 6e-8: sums of some dozen terms through four steps.
TEST_P(Recurrent, Float32IsAccurate) {
  const Case c = GetParam();
  const auto run = [&](DType dtype) {
    return evaluate(value_and_grad([&](ValueSpan in) { return sum(square(results(c, in)[0])); }),
                    arguments(c, dtype));
  };
  const auto narrow = run(DType::float32), wide = run(DType::float64);
  for (std::size_t i = 0; i < wide.size(); ++i) {
    for (std::int64_t k = 0; k < wide[i].size(); ++k)
      EXPECT_NEAR(narrow[i].item(k), wide[i].item(k), 5e-6 * largest(wide[i])) << i;
  }
}

// bfloat16 keeps 8 bits, 2^-9 of each factor; and something must have been rounded.
TEST_P(Recurrent, MixedPrecisionRoundsTheOperandsOnly) {
  const Case c = GetParam();
  const auto run = [&](DType operands) {
    return evaluate(value_and_grad([&](ValueSpan in) {
                      return sum(square(results(c, in, {.operands = operands})[0]));
                    }),
                    arguments(c, DType::float32));
  };
  const auto mixed = run(DType::bfloat16), full = run(DType::float32);
  double most = 0;
  for (std::size_t i = 0; i < full.size(); ++i) {
    for (std::int64_t k = 0; k < full[i].size(); ++k) {
      const double off = std::abs(mixed[i].item(k) - full[i].item(k));
      most = std::max(most, off);
      EXPECT_LT(off, 0.05 * largest(full[i])) << i << " at " << k;
    }
  }
  EXPECT_GT(most, 1e-4);
}

TEST_P(Recurrent, AllocatesNothingWhileReplaying) {
  const Case c = GetParam();
  std::vector<PlanInput> inputs;
  for (const auto& a : arguments(c, DType::float32))
    inputs.push_back({{DType::float32, a.shape()}, "x", a});
  Plan plan =
      compile(value_and_grad([&](ValueSpan in) { return sum(square(results(c, in)[0])); }), inputs);
  plan.run();
  const long before = allocations;
  plan.run();
  EXPECT_EQ(allocations, before);
}

// Two shards of a batch, replayed on one thread and on two, and operation by operation: the same
// bits.
TEST_P(Recurrent, ShardsGiveTheSameBitsOnAnyThreads) {
  Case c = GetParam();
  c.rows = 2, c.initial = c.masked = false;  // of one shard; state and mask would be cut as well
  const std::vector<Array> own = arguments(c);
  const Array other = random_array(own[0].shape(), 50);
  const Fn f = value_and_grad([&](ValueSpan in) { return batch_sum(square(results(c, in)[0])); });
  const auto replayed = [&](int threads) {
    std::vector<PlanInput> inputs;
    for (const auto& a : own)
      inputs.push_back({{DType::float64, a.shape(), inputs.empty()}, "x", {}});
    CompileOptions options{.shards = 2, .verify = true};
    if (threads > 1) options.pool = std::make_shared<ThreadPool>(threads);
    Plan plan = compile(f, inputs, options);
    for (std::size_t i = 0; i < own.size(); ++i)
      std::memcpy(plan.input(static_cast<int>(i)).raw(), own[i].raw(), own[i].bytes());
    std::memcpy(plan.input(0).raw() + own[0].bytes(), other.raw(), other.bytes());
    plan.run();
    std::vector<Array> all;
    for (int i = 0; i < plan.outputs(); ++i) all.push_back(plan.output(i).clone());
    return all;
  };
  const auto one = replayed(1);
  expect_identical(one, replayed(2), "one thread against two");
  const EagerScope eager({.shards = 2});
  Values in{computed({own[0], other}, true)};
  for (std::size_t i = 1; i < own.size(); ++i) in.push_back(computed({own[i]}, false));
  const Values at_once = f(in);
  for (std::size_t i = 0; i < one.size(); ++i) {
    const int parts = at_once[i].per_shard() ? 2 : 1;
    for (int part = 0; part < parts; ++part) {
      const Array a = at_once[i].array(part);
      EXPECT_EQ(std::memcmp(one[i].raw() + static_cast<std::size_t>(part) * a.bytes(), a.raw(),
                            a.bytes()),
                0)
          << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, Recurrent, testing::ValuesIn(cases()),
                         [](const auto& p) { return p.param.name; });

// Looked up rows: through the table's product the same as row by row.
TEST(RecurrentInput, OfATableIsTheTablesProduct) {
  const Case c{.name = "lstm", .cell = Cell::lstm, .steps = 6, .rows = 4};
  auto x = arguments(c);
  x[0] = random_array({3, c.features}, 5);
  Array index(DType::int64, {c.steps, c.rows});
  for (std::int64_t i = 0; i < index.size(); ++i) index.set_item(i, static_cast<double>(i * i % 3));
  const auto run = [&](bool table) {
    return evaluate(value_and_grad([&](ValueSpan in) {
                      Values all(in.begin(), in.end());
                      all[0] = gather(in[0], constant(index));
                      if (!table) all[0] = all[0] * 1.0;
                      return sum(square(results(c, all)[0]));
                    }),
                    x);
  };
  const auto a = run(true), b = run(false);
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i].size(); ++k)
      EXPECT_NEAR(a[i].item(k), b[i].item(k), 1e-13 * (1 + std::abs(b[i].item(k)))) << i;
  }
}

TEST(RecurrentErrors, NameWhatDoesNotFit) {
  const Case c{.name = "lstm", .cell = Cell::lstm};
  for (const std::size_t wrong : {1u, 2u, 3u, 4u, 5u, 6u}) {
    auto x = arguments(c);
    Shape shape = x[wrong].shape();
    shape[0] += 1;
    x[wrong] = random_array(shape, 1);
    EXPECT_THROW(evaluate([&](ValueSpan in) { return results(c, in); }, x), Error) << wrong;
  }
}

// The profile counts the weights that each call packs anew.
TEST(RecurrentProfile, CountsPackedWeights) {
  for (const auto& [cell, packed] : {std::pair{Cell::lstm, 1}, {Cell::gru_reset_before, 2}}) {
    const Case c{.name = "", .cell = cell};
    std::vector<PlanInput> inputs;
    for (const auto& a : arguments(c)) inputs.push_back({{a.dtype(), a.shape()}, "x", a});
    const ScalarFn f = [&](ValueSpan in) { return sum(results(c, in)[0]); };
    const Plan plan = compile(value_and_grad(f), inputs, {.profile = true});
    std::map<std::string, int> copies;
    for (const auto& k : plan.profiler()->kernels()) copies[k.kernel] += k.copies;
    EXPECT_EQ(copies["recurrent"], packed);
    EXPECT_EQ(copies["recurrent_gradient"], packed);
  }
}

}  // namespace
}  // namespace descent::test
