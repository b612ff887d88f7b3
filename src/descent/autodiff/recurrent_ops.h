// The two operations behind recurrent(), and the steps they stand for in elementary operations.
#pragma once
#include <string>
#include <vector>

#include "descent/autodiff/recurrent.h"
#include "descent/ir/op.h"

namespace descent {

// Parameters of both.
struct RecurrentParameters {
  Cell cell = Cell::lstm;
  bool reverse = false;
  std::int64_t truncate = 0;
  DType operands = DType::float32;
  // Which optional inputs there are; cell_gradient: that of an lstm's c.
  bool initial = false, masked = false, cell_gradient = false;
  bool operator==(const RecurrentParameters&) const = default;

  bool lstm() const { return cell == Cell::lstm; }
  bool gru() const { return cell == Cell::gru; }
  bool reset_before() const { return cell == Cell::gru_reset_before; }
  bool gated() const { return lstm() || gru() || reset_before(); }
  std::string attributes() const;
  kernels::RecurrentShape shape(const Type& inputs, const Type& weight) const;
};

// One slot for each possible input of an operation; absent ones are null.
template <class T>
struct ForwardSlots {
  T inputs{}, weight{}, bias_ih{}, bias_hh{}, h0{}, c0{}, mask{};
};
template <class T>
struct BackwardSlots {
  T dh{}, dc{}, weight{}, h{}, gates{}, extra{}, h0{}, c0{}, mask{};
};
template <class List>
auto forward_slots(const RecurrentParameters& p, const List& in) {
  ForwardSlots<std::remove_cvref_t<decltype(in[0])>> s{in[0], in[1], in[2], in[3]};
  std::size_t next = 4;
  if (p.initial) s.h0 = in[next++];
  if (p.initial && p.lstm()) s.c0 = in[next++];
  if (p.masked) s.mask = in[next];
  return s;
}
template <class List>
auto backward_slots(const RecurrentParameters& p, const List& in) {
  BackwardSlots<std::remove_cvref_t<decltype(in[0])>> s;
  std::size_t next = 0;
  s.dh = in[next++];
  if (p.cell_gradient) s.dc = in[next++];
  s.weight = in[next++];
  s.h = in[next++];
  if (p.gated()) s.gates = in[next++], s.extra = in[next++];
  if (p.initial) s.h0 = in[next++];
  if (p.initial && p.lstm()) s.c0 = in[next++];
  if (p.masked) s.mask = in[next];
  return s;
}

// inputs, weight, bias_ih, bias_hh, [h0, [c0]], [mask] -> h, and of gated cells gates and extra:
// as kernels::RecurrentForward has them.
Values recurrent_reference(const RecurrentParameters& p, ValueSpan in);
// dh, [dc], weight, h, [gates, extra], [h0, [c0]], [mask] -> d_inputs, [d_products], [dh0, [dc0]]:
// as kernels::RecurrentBackward has them.
Values recurrent_gradient_reference(const RecurrentParameters& p, ValueSpan in);

}  // namespace descent
