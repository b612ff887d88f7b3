#include "descent/ops/attention_reference.h"

#include <cmath>

namespace descent {
namespace {

Value plus(const Value& a, const Value& b) { return !a ? b : !b ? a : a + b; }

// Query i sees key j <= i + keys - queries.
Value causal_mask(std::int64_t queries, std::int64_t keys) {
  Array mask(DType::boolean, {queries, keys});
  for (std::int64_t i = 0; i < queries; ++i) {
    for (std::int64_t j = 0; j < keys; ++j) mask.set_item(i * keys + j, j <= i + keys - queries);
  }
  return constant(std::move(mask));
}

}  // namespace

AttentionReference::AttentionReference(AttentionOperands operands, bool causal, double scale,
                                       const Value& key_mask, Value noise)
    : o_(std::move(operands)), scale_(scale), noise_(std::move(noise)) {
  if (causal) masks_.push_back(causal_mask(o_.q.shape()[2], o_.k.shape()[2]));
  if (key_mask) masks_.push_back(expand_dims(expand_dims(key_mask, 1), 1));
  // -1e30 and 0, not -inf: a query that sees no key gives zeros.
  p_ = masked(softmax(masked(scores(o_.q, o_.k), -1e30)), 0);
}

Value AttentionReference::masked(const Value& scores, double hidden) const {
  Value result = scores;
  for (const auto& mask : masks_) result = where(mask, result, scalar(hidden, scores.dtype()));
  return result;
}

Value AttentionReference::scores(const Value& q, const Value& k) const {
  return scale_ * matmul(q, k, false, true);
}

Value AttentionReference::centred(const Value& x) const {
  return p_ * (x - sum(p_ * x, {-1}, true));
}

Value AttentionReference::dropped(const Value& x) const { return noise_ ? x * noise_ : x; }

Value AttentionReference::output() const { return matmul(dropped(p_), o_.v); }

Value AttentionReference::output_tangent(const AttentionOperands& t) const {
  Value ts;
  if (t.q) ts = scores(t.q, o_.k);
  if (t.k) ts = plus(ts, scores(o_.q, t.k));
  Value result;
  if (ts) result = matmul(dropped(centred(ts)), o_.v);
  if (t.v) result = plus(result, matmul(dropped(p_), t.v));
  return result;
}

// With dP = M (g v^T), T the tangent of dP and P' that of P: dS' = P' (dP - delta) + P (T -
// delta'), delta' = rowsum(P' dP + P T).
AttentionOperands AttentionReference::gradient_tangent(const Value& g, const AttentionOperands& t,
                                                       const Value& tg) const {
  const Value dp = dropped(matmul(g, o_.v, false, true));
  const Value delta = sum(p_ * dp, {-1}, true);
  Value ts, tdp, tp, tds;
  if (t.q) ts = scores(t.q, o_.k);
  if (t.k) ts = plus(ts, scores(o_.q, t.k));
  if (tg) tdp = matmul(tg, o_.v, false, true);
  if (t.v) tdp = plus(tdp, matmul(g, t.v, false, true));
  if (tdp) tdp = dropped(tdp);
  Value moved;  // P' dP + P T
  if (ts) tp = centred(ts);
  if (tp) moved = tp * dp;
  if (tdp) moved = plus(moved, p_ * tdp);
  if (moved) {
    tds = moved - p_ * sum(moved, {-1}, true);
    if (tp) tds = tds - tp * delta;
  }
  const Value ds = p_ * (dp - delta);
  AttentionOperands result;
  if (tds) {
    result.q = scale_ * matmul(tds, o_.k);
    result.k = scale_ * matmul(tds, o_.q, true);
  }
  if (t.k) result.q = plus(result.q, scale_ * matmul(ds, t.k));
  if (t.q) result.k = plus(result.k, scale_ * matmul(ds, t.q, true));
  if (tp) result.v = matmul(dropped(tp), g, true);
  if (tg) result.v = plus(result.v, matmul(dropped(p_), tg, true));
  return result;
}

// phi = <a, dq> + <b, dk> + <c, dv> = <dS, A> + <P, C> with A = scale (a k^T + q b^T) and
// C = M (g c^T). With alpha = rowsum(P A): dphi/d(dP) = P (A - alpha) = E, and
// dphi/dP = dP (A - alpha) - delta A + C, which softmax takes back to the scores.
std::pair<AttentionOperands, Value> AttentionReference::gradient_cotangent(
    const Value& g, const AttentionOperands& cotangent) const {
  const auto& [a, b, c] = cotangent;
  AttentionOperands result;
  Value to_g, to_p, inner;
  const Value dp = dropped(matmul(g, o_.v, false, true));
  const Value delta = sum(p_ * dp, {-1}, true);
  if (a) inner = scores(a, o_.k);
  if (b) inner = plus(inner, scores(o_.q, b));
  if (inner) {
    const Value alpha = sum(p_ * inner, {-1}, true);
    const Value e = dropped(p_ * (inner - alpha));
    to_g = matmul(e, o_.v);
    result.v = matmul(e, g, true);
    to_p = dp * (inner - alpha) - delta * inner;
  }
  if (c) {
    to_g = plus(to_g, matmul(dropped(p_), c));
    to_p = plus(to_p, dropped(matmul(g, c, false, true)));
  }
  if (to_p) {
    const Value w = centred(to_p);
    result.q = scale_ * matmul(w, o_.k);
    result.k = scale_ * matmul(w, o_.q, true);
  }
  const Value ds = p_ * (dp - delta);
  if (b) result.q = plus(result.q, scale_ * matmul(ds, b));
  if (a) result.k = plus(result.k, scale_ * matmul(ds, a, true));
  return {result, to_g};
}

}  // namespace descent
