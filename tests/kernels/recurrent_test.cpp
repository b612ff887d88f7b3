// Recurrent kernels: the forward pass against scalar loops after the formulas, the backward pass
// against differences of the forward pass.
#include "descent/kernels/recurrent.h"

#include <cmath>

#include "descent/base/memory.h"
#include "tests/kernels/support.h"

namespace descent::kernels::testing {
namespace {

using Numbers = std::vector<double>;

Numbers numbers(std::int64_t n, int seed) {
  Numbers x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<double>(i) * 0.37 + seed) * 0.7;
  return x;
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Problem {
  explicit Problem(Cell cell)
      : s{.cell = cell, .steps = 3, .rows = 2, .units = 19, .dtype = DType::float64},
        state(s.rows * s.units),
        gates(s.gates() * state),
        inputs(numbers(s.steps * gates, 1)),
        weight(numbers(s.gates() * s.units * s.units, 2)),
        bias_ih(numbers(s.gates() * s.units, 3)),
        bias_hh(numbers(s.gates() * s.units, 4)),
        h0(numbers(state, 5)),
        c0(numbers(state, 6)),
        h(static_cast<std::size_t>(s.steps * state)),
        values(static_cast<std::size_t>(s.steps * gates)),
        extra(h.size()) {
    for (double& w : weight) w *= 0.2;
  }
  void forward() {
    const auto scratch = allocate(recurrent_forward_scratch(s));
    bind_recurrent(
        s,
        RecurrentForward{inputs.data(), weight.data(), bias_ih.data(), bias_hh.data(), h0.data(),
                         c0.data(), nullptr, h.data(), values.data(), extra.data()},
        scratch.get())();
  }
  RecurrentShape s;
  std::int64_t state, gates;
  Numbers inputs, weight, bias_ih, bias_hh, h0, c0, h, values, extra;
};

// h after all steps, by the formulas of the header.
Numbers by_hand(const Problem& p) {
  const auto H = static_cast<std::size_t>(p.s.units), G = static_cast<std::size_t>(p.s.gates()) * H;
  Numbers h = p.h0, c = p.c0, all;
  for (std::size_t t = 0; t < static_cast<std::size_t>(p.s.steps); ++t) {
    Numbers next = h;
    for (std::size_t n = 0; n < static_cast<std::size_t>(p.s.rows); ++n) {
      for (std::size_t u = 0; u < H; ++u) {
        const auto a = [&](std::size_t k) {
          return p.inputs[(t * static_cast<std::size_t>(p.s.rows) + n) * G + k * H + u] +
                 p.bias_ih[k * H + u];
        };
        const auto r = [&](std::size_t k) {
          double sum = p.bias_hh[k * H + u];
          for (std::size_t l = 0; l < H; ++l) sum += h[n * H + l] * p.weight[(k * H + u) * H + l];
          return sum;
        };
        const std::size_t at = n * H + u;
        // The reset gate of row n and unit l.
        const auto reset_gate = [&](std::size_t row, std::size_t l) {
          double sum = p.bias_ih[l] + p.bias_hh[l] +
                       p.inputs[(t * static_cast<std::size_t>(p.s.rows) + row) * G + l];
          for (std::size_t m = 0; m < H; ++m) sum += h[row * H + m] * p.weight[l * H + m];
          return sigmoid(sum);
        };
        if (p.s.cell == Cell::lstm) {
          const double i = sigmoid(a(0) + r(0)), f = sigmoid(a(1) + r(1)),
                       g = std::tanh(a(2) + r(2)), o = sigmoid(a(3) + r(3));
          c[at] = f * c[at] + i * g;
          next[at] = o * std::tanh(c[at]);
        } else if (p.s.cell == Cell::gru) {
          const double reset = sigmoid(a(0) + r(0)), z = sigmoid(a(1) + r(1)),
                       n_gate = std::tanh(a(2) + reset * r(2));
          next[at] = (1 - z) * n_gate + z * h[at];
        } else if (p.s.cell == Cell::gru_reset_before) {
          const double z = sigmoid(a(1) + r(1));
          double sum = p.bias_hh[2 * H + u];
          for (std::size_t l = 0; l < H; ++l)
            sum += reset_gate(n, l) * h[n * H + l] * p.weight[(2 * H + u) * H + l];
          next[at] = (1 - z) * std::tanh(a(2) + sum) + z * h[at];
        } else {
          const double x = a(0) + r(0);
          next[at] = p.s.cell == Cell::rnn_relu ? std::max(x, 0.0) : std::tanh(x);
        }
      }
    }
    h = next;
    all.insert(all.end(), h.begin(), h.end());
  }
  return all;
}

class RecurrentKernel : public ::testing::TestWithParam<Cell> {};

TEST_P(RecurrentKernel, ForwardFollowsTheFormulas) {
  Problem p(GetParam());
  p.forward();
  const auto expected = by_hand(p);
  // Sums of twenty rounded terms through three steps.
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(p.h[i], expected[i], 1e-14) << i;
}

TEST_P(RecurrentKernel, BackwardIsTheSlopeOfForward) {
  Problem p(GetParam());
  p.forward();
  const auto dh = numbers(p.s.steps * p.state, 9);
  Numbers d_inputs(p.values.size()), d_products(p.values.size()), dh0(p.h0.size()),
      dc0(p.c0.size());
  const auto scratch = allocate(recurrent_backward_scratch(p.s));
  bind_recurrent(
      p.s,
      RecurrentBackward{.dh = dh.data(),
                        .weight = p.weight.data(),
                        .h = p.h.data(),
                        .gates = p.values.data(),
                        .extra = p.extra.data(),
                        .h0 = p.h0.data(),
                        .c0 = p.c0.data(),
                        .d_inputs = d_inputs.data(),
                        .d_products = p.s.cell == Cell::gru ? d_products.data() : nullptr,
                        .dh0 = dh0.data(),
                        .dc0 = p.s.cell == Cell::lstm ? dc0.data() : nullptr},
      scratch.get())();
  const auto objective = [&] {
    p.forward();
    double sum = 0;
    for (std::size_t i = 0; i < dh.size(); ++i) sum += dh[i] * p.h[i];
    return sum;
  };
  const auto compare = [&](Numbers& x, const Numbers& slopes, const char* what) {
    for (std::size_t i = 0; i < x.size(); i += 7) {
      const double kept = x[i];
      x[i] = kept + 1e-5;
      const double ahead = objective();
      x[i] = kept - 1e-5;
      const double behind = objective();
      x[i] = kept;
      // Central differences: h^2 f''' + eps / h, about 1e-10.
      ASSERT_NEAR(slopes[i], (ahead - behind) / 2e-5, 1e-8) << what << " at " << i;
    }
  };
  compare(p.inputs, d_inputs, "inputs");
  compare(p.h0, dh0, "h0");
  if (p.s.cell == Cell::lstm) compare(p.c0, dc0, "c0");
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentKernel,
                         ::testing::Values(Cell::rnn_tanh, Cell::rnn_relu, Cell::lstm, Cell::gru,
                                           Cell::gru_reset_before));

}  // namespace
}  // namespace descent::kernels::testing
