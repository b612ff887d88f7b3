// The steps of kernels/recurrent.h, forwards and backwards, in elementary operations.
#include <algorithm>

#include "descent/autodiff/recurrent_ops.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

Value product(const RecurrentParameters& p, const Value& a, const Value& b, bool transpose_b) {
  if (p.operands != DType::bfloat16) return matmul(a, b, false, transpose_b);
  const Value sums = matmul(cast(a, p.operands), cast(b, p.operands), false, transpose_b);
  return cast(sums, a.dtype());
}

// Gate k of [N, G H].
Value gate(const Value& gates, std::int64_t k, std::int64_t units) {
  return slice(gates, 1, k * units, (k + 1) * units);
}
// The same of a bias [G H].
Value bias(const Value& b, std::int64_t k, std::int64_t units) {
  return slice(b, 0, k * units, (k + 1) * units);
}

Value chosen(const Value& mask, std::int64_t t, const Value& a, const Value& b) {
  return mask ? where(expand_dims(mask[t], 1), a, b) : a;
}

struct Step {
  Value h, c, gates, extra;
};

// Rows of r and z, and of n, of a GRU's weight [3 H, H].
Value rows_of_rz(const Value& weight) { return slice(weight, 0, 0, 2 * weight.shape()[1]); }
Value rows_of_n(const Value& weight) {
  return slice(weight, 0, 2 * weight.shape()[1], 3 * weight.shape()[1]);
}

Step reset_before_step(const RecurrentParameters& p, const ForwardSlots<Value>& s, const Value& a,
                       const Value& before) {
  const std::int64_t units = s.weight.shape()[1];
  const Value input = a + (s.bias_ih + s.bias_hh);
  const Value rz =
      sigmoid(slice(input, 1, 0, 2 * units) + product(p, before, rows_of_rz(s.weight), true));
  const Value z = gate(rz, 1, units), reset = gate(rz, 0, units) * before;
  const Value n = tanh(gate(input, 2, units) + product(p, reset, rows_of_n(s.weight), true));
  return {n + z * (before - n), {}, concat({rz, n}, 1), reset};
}

Step step(const RecurrentParameters& p, const ForwardSlots<Value>& s, const Value& a,
          const Step& before) {
  if (p.reset_before()) return reset_before_step(p, s, a, before.h);
  const std::int64_t units = s.weight.shape()[1];
  const Value recurrent = product(p, before.h, s.weight, true);
  if (p.gru()) {
    const auto sum = [&](std::int64_t k) {
      return gate(a, k, units) + bias(s.bias_ih + s.bias_hh, k, units) + gate(recurrent, k, units);
    };
    const Value r = sigmoid(sum(0)), z = sigmoid(sum(1));
    const Value inner = gate(recurrent, 2, units) + bias(s.bias_hh, 2, units);
    const Value n = tanh(gate(a, 2, units) + bias(s.bias_ih, 2, units) + r * inner);
    return {n + z * (before.h - n), {}, concat({r, z, n}, 1), inner};
  }
  const Value sum = a + (s.bias_ih + s.bias_hh) + recurrent;
  if (p.cell == Cell::rnn_relu) return {relu(sum), {}, {}, {}};
  if (p.cell == Cell::rnn_tanh) return {tanh(sum), {}, {}, {}};
  const Value i = sigmoid(gate(sum, 0, units)), f = sigmoid(gate(sum, 1, units)),
              g = tanh(gate(sum, 2, units)), o = sigmoid(gate(sum, 3, units));
  const Value c = f * before.c + i * g;
  return {o * tanh(c), c, concat({i, f, g, o}, 1), c};
}

struct StepGradient {
  Value inputs, products;  // of this step
  Value h, c;              // beside the product, for the step before
};

Value sigmoid_slope(const Value& s) { return s * (1.0 - s); }
Value tanh_slope(const Value& t) { return 1.0 - square(t); }

StepGradient lstm_gradient(const Value& gates, const Value& c, const Value& c_before,
                           const Value& dh, Value dc) {
  const std::int64_t units = c.shape()[1];
  const Value i = gate(gates, 0, units), f = gate(gates, 1, units), g = gate(gates, 2, units),
              o = gate(gates, 3, units), t = tanh(c);
  dc = dc + dh * o * tanh_slope(t);
  const Value d = concat({dc * g * sigmoid_slope(i), dc * c_before * sigmoid_slope(f),
                          dc * i * tanh_slope(g), dh * t * sigmoid_slope(o)},
                         1);
  return {d, d, zeros_like(dh), dc * f};
}

StepGradient gru_gradient(const Value& gates, const Value& inner, const Value& h_before,
                          const Value& dh) {
  const std::int64_t units = h_before.shape()[1];
  const Value r = gate(gates, 0, units), z = gate(gates, 1, units), n = gate(gates, 2, units);
  const Value dn = dh * (1.0 - z) * tanh_slope(n), dz = dh * (h_before - n) * sigmoid_slope(z),
              dr = dn * inner * sigmoid_slope(r);
  return {concat({dr, dz, dn}, 1), concat({dr, dz, dn * r}, 1), dh * z, {}};
}

// `products` are those of r and z; that of n is inside the step.
StepGradient reset_before_gradient(const RecurrentParameters& p, const Value& weight,
                                   const Value& gates, const Value& h_before, const Value& dh) {
  const std::int64_t units = h_before.shape()[1];
  const Value r = gate(gates, 0, units), z = gate(gates, 1, units), n = gate(gates, 2, units);
  const Value dn = dh * (1.0 - z) * tanh_slope(n), dz = dh * (h_before - n) * sigmoid_slope(z),
              d_reset = product(p, dn, rows_of_n(weight), false),
              dr = d_reset * h_before * sigmoid_slope(r);
  return {concat({dr, dz, dn}, 1), concat({dr, dz}, 1), dh * z + d_reset * r, {}};
}

StepGradient rnn_gradient(bool relu, const Value& h, const Value& dh) {
  const Value d = dh * (relu ? descent::step(h) : tanh_slope(h));
  return {d, d, zeros_like(dh), {}};
}

// Where step number k of the walk lies.
std::int64_t time_of(const RecurrentParameters& p, std::int64_t k, std::int64_t steps) {
  return p.reverse ? steps - 1 - k : k;
}

// [N, H] of zeros, per shard where `like` [T, N, ...] is.
Value zero_state(const Value& like, std::int64_t units) {
  return zeros({like.dtype(), {like.shape()[1], units}, like.per_shard()});
}

}  // namespace

Values recurrent_reference(const RecurrentParameters& p, ValueSpan in) {
  const auto s = forward_slots(p, in);
  const std::int64_t steps = s.inputs.shape()[0], units = s.weight.shape()[1];
  const Value zero = zero_state(s.inputs, units);
  Step before{s.h0 ? s.h0 : zero, s.c0 ? s.c0 : zero, {}, {}};
  Values h(static_cast<std::size_t>(steps)), gates = h, extra = h;
  for (std::int64_t k = 0; k < steps; ++k) {
    const std::int64_t t = time_of(p, k, steps);
    if (p.truncate > 0 && k > 0 && k % p.truncate == 0) {
      before.h = stop_gradient(before.h);
      before.c = stop_gradient(before.c);
    }
    Step now = step(p, s, s.inputs[t], before);
    now.h = chosen(s.mask, t, now.h, before.h);
    if (p.lstm()) now.extra = now.c = chosen(s.mask, t, now.c, before.c);
    const auto at = static_cast<std::size_t>(t);
    h[at] = now.h, gates[at] = now.gates, extra[at] = now.extra;
    if (!now.c) now.c = before.c;
    before = now;
  }
  if (!p.gated()) return {stack(h)};
  return {stack(h), stack(gates), stack(extra)};
}

Values recurrent_gradient_reference(const RecurrentParameters& p, ValueSpan in) {
  const auto s = backward_slots(p, in);
  const std::int64_t steps = s.h.shape()[0], units = s.weight.shape()[1];
  const Value zero = zero_state(s.dh, units);
  const Value weight = p.reset_before() ? rows_of_rz(s.weight) : s.weight;
  Value dh_before = zero, dc_before = zero;
  Values inputs(static_cast<std::size_t>(steps)), products = inputs;
  for (std::int64_t k = steps - 1; k >= 0; --k) {
    const std::int64_t t = time_of(p, k, steps);
    const auto before = [&](const Value& all, const Value& initial) {
      if (k > 0) return all[time_of(p, k - 1, steps)];
      return initial ? initial : zero;
    };
    const Value dh = s.dh[t] + dh_before;
    const Value dc = p.cell_gradient ? s.dc[t] + dc_before : dc_before;
    StepGradient g = p.lstm() ? lstm_gradient(s.gates[t], s.extra[t], before(s.extra, s.c0), dh, dc)
                     : p.gru() ? gru_gradient(s.gates[t], s.extra[t], before(s.h, s.h0), dh)
                     : p.reset_before()
                         ? reset_before_gradient(p, s.weight, s.gates[t], before(s.h, s.h0), dh)
                         : rnn_gradient(p.cell == Cell::rnn_relu, s.h[t], dh);
    g.inputs = chosen(s.mask, t, g.inputs, zeros_like(g.inputs));
    g.products = chosen(s.mask, t, g.products, zeros_like(g.products));
    const auto at = static_cast<std::size_t>(t);
    inputs[at] = g.inputs, products[at] = g.products;
    const bool cut = p.truncate > 0 && k > 0 && k % p.truncate == 0;
    dh_before = cut ? zero : product(p, g.products, weight, false) + chosen(s.mask, t, g.h, dh);
    if (p.lstm()) dc_before = cut ? zero : chosen(s.mask, t, g.c, dc);
  }
  Values result{stack(inputs)};
  if (p.gru()) result.push_back(stack(products));
  if (p.initial) result.push_back(dh_before);
  if (p.initial && p.lstm()) result.push_back(dc_before);
  return result;
}

}  // namespace descent
