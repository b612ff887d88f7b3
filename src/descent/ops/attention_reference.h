// Attention and its derivatives as compositions of products and softmax, with the whole matrix of
// scores: forward mode and second derivatives of ops/attention.cpp, and the reference of its tests.
// Everything is [rows, heads, time, dim].
#pragma once
#include <array>

#include "descent/ops/ops.h"

namespace descent {

// Null where there is none (a tangent or cotangent that is zero).
struct AttentionOperands {
  Value q, k, v;
};

class AttentionReference {
 public:
  // key_mask: bool [rows, keys] or null. noise: what the probabilities are multiplied by, [rows,
  // heads, queries, keys] or null.
  AttentionReference(AttentionOperands operands, bool causal, double scale, const Value& key_mask,
                     Value noise = {});

  Value output() const;
  // Along tangents of q, k, v.
  Value output_tangent(const AttentionOperands& tangent) const;
  // With the output's cotangent g, (dq, dk, dv) along tangents of q, k, v and g.
  AttentionOperands gradient_tangent(const Value& g, const AttentionOperands& tangent,
                                     const Value& g_tangent) const;
  // Cotangents of q, k, v, and of g, from those of (dq, dk, dv).
  std::pair<AttentionOperands, Value> gradient_cotangent(const Value& g,
                                                         const AttentionOperands& cotangent) const;

 private:
  Value masked(const Value& scores, double hidden) const;
  Value centred(const Value& x) const;  // p (x - rowsum(p x)): the derivative of softmax
  Value scores(const Value& q, const Value& k) const;
  Value dropped(const Value& x) const;  // times the noise
  AttentionOperands o_;
  double scale_;
  Values masks_;  // broadcast to [rows, heads, queries, keys]
  Value p_;       // probabilities
  Value noise_;
};

}  // namespace descent
