// Recurrent layers over whole sequences, time first, from their input products on. With
// a_t = x_t W_ih^T ("inputs", for all t at once), p_t = h_(t-1) W_hh^T and biases b = b_ih + b_hh:
//
//   rnn    h = tanh(a + p + b), or relu
//   lstm   i, f, o = sigmoid(a + p + b)   g = tanh(a + p + b)       (in the order i f g o)
//          c = f c' + i g                 h = o tanh(c)
//   gru    r, z = sigmoid(a + p + b)      n = tanh(a + b_ih + r (p + b_hh))    (r z n)
//          h = (1 - z) n + z h'
//   gru_reset_before    the same, but n = tanh(a + b + (r h') W_hn^T): reset before the product
//
// as torch.nn.RNN, LSTM and GRU; the last as Cho et al. 2014 and ONNX. A step that the mask leaves
// out keeps the state. On one thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

#include "descent/base/dtype.h"

namespace descent::kernels {

enum class Cell { rnn_tanh, rnn_relu, lstm, gru, gru_reset_before };
inline bool is_gru(Cell cell) { return cell == Cell::gru || cell == Cell::gru_reset_before; }

struct RecurrentShape {
  Cell cell = Cell::lstm;
  std::int64_t steps = 0, rows = 0, units = 0;
  bool reverse = false;             // from the last step to the first
  std::int64_t truncate = 0;        // > 0: no gradient into the state before steps k, 2k, ...
  DType dtype = DType::float32;     // or float64
  DType operands = DType::float32;  // bfloat16: both operands of p are rounded to it
  std::int64_t gates() const { return cell == Cell::lstm ? 4 : is_gru(cell) ? 3 : 1; }
};

// What the forward pass reads and writes. [T, N, ...] for T steps of N rows of H units, G gates.
struct RecurrentForward {
  const void* inputs;             // [T, N, G H]
  const void* weight;             // W_hh [G H, H]
  const void *bias_ih, *bias_hh;  // [G H]
  const void *h0, *c0;            // [N, H]; null: zeros
  const bool* mask;               // [T, N]; null: every step counts
  void* h;                        // [T, N, H]
  void* gates;                    // lstm, gru: [T, N, G H], their values; may be `inputs`
  void* extra;                    // lstm: c; gru: p_n + b_hn; gru_reset_before: r h'; [T, N, H]
};

// The same backwards: from what the forward pass left and the gradients of h (and c).
struct RecurrentBackward {
  const void *dh, *dc;  // [T, N, H]; dc null: zeros
  const void* weight;
  const void *h, *gates, *extra;
  const void *h0, *c0;
  const bool* mask;
  void* d_inputs;    // [T, N, G H]
  void* d_products;  // gru: the gradient of p + b_hh, [T, N, G H]; else d_inputs is
  void *dh0, *dc0;   // [N, H]; null: not wanted
};

// Calls bound to their memory; they allocate nothing.
std::size_t recurrent_forward_scratch(const RecurrentShape& shape);
std::function<void()> bind_recurrent(const RecurrentShape& shape, const RecurrentForward& memory,
                                     void* scratch);
std::size_t recurrent_backward_scratch(const RecurrentShape& shape);
std::function<void()> bind_recurrent(const RecurrentShape& shape, const RecurrentBackward& memory,
                                     void* scratch);

}  // namespace descent::kernels
