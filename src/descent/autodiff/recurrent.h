// Recurrent layers over whole sequences as operations: torch.nn.RNN, LSTM and GRU of one layer in
// one direction. Time comes first, as there: x [T, N, F] of T steps and N rows, N cut into shards.
//
// The input products of all steps are one matrix product; what is recurrent is one operation with a
// kernel of its own (kernels/recurrent.h) and, for the first derivative, another. Derivatives
// beyond that are those of the same steps in elementary operations, which is why they live here.
#pragma once
#include "descent/ir/value.h"
#include "descent/kernels/recurrent.h"

namespace descent {

using kernels::Cell;

// Gates of H units in PyTorch's order: lstm i f g o, gru r z n.
struct RecurrentWeights {
  Value weight_ih, weight_hh;  // [G H, F], [G H, H]
  Value bias_ih, bias_hh;      // [G H]; null: none
};
struct RecurrentState {
  Value h, c;  // [N, H], c of an lstm only; null: zeros
};
struct RecurrentOptions {
  bool reverse = false;
  // k > 0: no gradient flows into the state before steps k, 2k, ... (truncated backpropagation
  // through time); the values are the same.
  std::int64_t truncate = 0;
  DType operands = DType::float32;  // bfloat16: operands of products are rounded to it
};
struct RecurrentResult {
  Value output;          // [T, N, H]
  RecurrentState state;  // after the last step that counts
};

// mask: bool [T, N], or null. Where it is false the state stays and the output is zero, so that
// rows padded at their end give what torch's packed sequences give, in both directions.
RecurrentResult recurrent(Cell cell, const Value& x, const RecurrentWeights& weights,
                          const RecurrentState& initial = {}, const Value& mask = {},
                          const RecurrentOptions& options = {});

}  // namespace descent
