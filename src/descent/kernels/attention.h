// Scaled dot-product attention, for each row of the batch and each head:
//
//   P = softmax(scale q k^T),  o = P v,  lse = log sum exp(scale q k^T)
//
// without ever holding P: a block of queries goes through blocks of keys, with a running maximum
// and sum, and the gradient computes the blocks again from lse (FlashAttention, Dao et al. 2022):
//
//   dP = g v^T,  dS = P (dP - rowsum(g o)),  dv = P^T g,  dq = scale dS k,  dk = scale dS^T q
//
// One thread, fixed order. Blocks that causality hides are not computed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "descent/base/dtype.h"

namespace descent::kernels {

struct AttentionShape {
  std::int64_t rows = 1, heads = 1, queries = 1, keys = 1, dim = 1;
  bool causal = false;  // query i sees keys 0 .. i + keys - queries: aligned at the end
  double scale = 1;
  DType in = DType::float32;  // of q, k, v; bfloat16: everything else is float32
};

// A tensor [rows, heads, time, dim] with its steps in elements; dim is dense.
template <class Data>
struct AttentionTensor {
  Data* data = nullptr;
  std::int64_t row = 0, head = 0, time = 0;
};
using AttentionInput = AttentionTensor<const std::byte>;
using AttentionOutput = AttentionTensor<std::byte>;

struct AttentionForward {
  AttentionShape shape;
  AttentionInput q, k, v;
  const bool* mask = nullptr;  // [rows, keys]: which keys are seen; null: all
  AttentionOutput out;
  void* lse = nullptr;  // [rows, heads, queries]; without keys o = 0 and lse is the largest number
};
struct AttentionBackward {
  AttentionShape shape;
  AttentionInput q, k, v;
  const bool* mask = nullptr;
  AttentionInput out, g;
  const void* lse = nullptr;
  AttentionOutput dq, dk, dv;
};

std::size_t attention_scratch_bytes(const AttentionShape& shape);
std::size_t attention_gradient_scratch_bytes(const AttentionShape& shape);
void attention(const AttentionForward& call, void* scratch);
void attention_gradient(const AttentionBackward& call, void* scratch);

}  // namespace descent::kernels
