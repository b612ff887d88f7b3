// Scaled dot-product attention, for each row of the batch and each head:
//
//   P = softmax(scale q k^T),  o = P v,  lse = log sum exp(scale q k^T)
//
// without ever holding P: a block of queries goes through blocks of keys, with a running maximum
// and sum, and the gradient computes the blocks again from lse (FlashAttention, Dao et al. 2022):
//
//   dP = g v^T,  dS = P (dP - rowsum(g o)),  dv = P^T g,  dq = scale dS k,  dk = scale dS^T q
//
// With dropout the probabilities are multiplied by M, whose elements are 0 or 1 / (1 - rate), and
// rowsum(g o) still is rowsum(P dP):
//
//   o = (M P) v,  dP = M (g v^T),  dv = (M P)^T g
//
// M is never held either: an element is a function of key, stream, row of the whole batch, head,
// key and query, computed again by the gradient.
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
  double dropout = 0;         // rate
};

// Element (n, h, key j, query i) of M is 0 where element ((n heads + h) keys + j) queries' + i of
// random_uniform(key, stream) is below the rate, with n counted from first_row and queries' the
// number of queries rounded up: so a block of M is whole blocks of random numbers.
struct AttentionNoise {
  const std::uint64_t* key = nullptr;
  std::uint64_t stream = 0;
  std::int64_t first_row = 0;
};
std::int64_t noise_queries(std::int64_t queries);

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
  AttentionNoise noise;
};
struct AttentionBackward {
  AttentionShape shape;
  AttentionInput q, k, v;
  const bool* mask = nullptr;
  AttentionInput out, g;
  const void* lse = nullptr;
  AttentionOutput dq, dk, dv;
  AttentionNoise noise;
};

std::size_t attention_scratch_bytes(const AttentionShape& shape);
std::size_t attention_gradient_scratch_bytes(const AttentionShape& shape);
void attention(const AttentionForward& call, void* scratch);
void attention_gradient(const AttentionBackward& call, void* scratch);

}  // namespace descent::kernels
