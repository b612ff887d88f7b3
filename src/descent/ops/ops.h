// The operations on values. All elementwise operations broadcast as NumPy does; operands have one
// type (cast() converts; plain C++ numbers take the type of the other operand). Errors name the
// operation, the types and the module it was called in.
#pragma once
#include <optional>

#include "descent/ir/value.h"

namespace descent {

// ---- elementwise (kernels/eltwise_table.h has the formula and derivative of each) ----
#define ELTWISE1(name, kernel, derivative) Value name(const Value& x);
#define NUMERIC1(name, kernel, derivative) Value name(const Value& x);
#define ELTWISE2(name, kernel, da, db)        \
  Value name(const Value& a, const Value& b); \
  Value name(const Value& a, double b);       \
  Value name(double a, const Value& b);
#define NUMERIC2(name, kernel, da, db) ELTWISE2(name, kernel, da, db)
#define NUMERIC3(name, kernel, dm, da, db) \
  Value name(const Value& m, const Value& a, const Value& b);
#include "descent/kernels/eltwise_table.h"

inline Value operator+(const Value& a, const Value& b) { return add(a, b); }
inline Value operator+(const Value& a, double b) { return add(a, b); }
inline Value operator+(double a, const Value& b) { return add(a, b); }
inline Value operator-(const Value& a, const Value& b) { return sub(a, b); }
inline Value operator-(const Value& a, double b) { return sub(a, b); }
inline Value operator-(double a, const Value& b) { return sub(a, b); }
inline Value operator*(const Value& a, const Value& b) { return mul(a, b); }
inline Value operator*(const Value& a, double b) { return mul(a, b); }
inline Value operator*(double a, const Value& b) { return mul(a, b); }
inline Value operator/(const Value& a, const Value& b) { return div(a, b); }
inline Value operator/(const Value& a, double b) { return div(a, b); }
inline Value operator/(double a, const Value& b) { return div(a, b); }
inline Value operator-(const Value& a) { return neg(a); }

// Comparisons, as bool values; where() takes such a condition (or any mask: not 0 is true).
Value less(const Value& a, const Value& b);
Value less_equal(const Value& a, const Value& b);
Value greater(const Value& a, const Value& b);
Value greater_equal(const Value& a, const Value& b);
Value equal(const Value& a, const Value& b);
Value not_equal(const Value& a, const Value& b);
Value where(const Value& condition, const Value& a, const Value& b);

Value cast(const Value& x, DType to);  // a no-op where x already has the type
Value clamp(const Value& x, double low, double high);
Value log_or_zero(const Value& x);  // log where x > 0, else 0: the derivative of pow at 0
Value silu(const Value& x);         // x sigmoid(x)
enum class Gelu { erf, tanh };      // exact (PyTorch's default), or the tanh approximation
Value gelu(const Value& x, Gelu kind = Gelu::erf);
Value zeros_like(const Value& x);
Value ones_like(const Value& x);
Value zeros(const Type& type);
Value full(const Type& type, double value);

// ---- reductions: over `axes` (negative from the end; empty list: all), keep: extents become 1
// ----
Value sum(const Value& x, std::vector<int> axes = {}, bool keep = false);
Value mean(const Value& x, std::vector<int> axes = {}, bool keep = false);
Value max(const Value& x, std::vector<int> axes = {},
          bool keep = false);  // ties share the gradient equally
Value min(const Value& x, std::vector<int> axes = {}, bool keep = false);
Value logsumexp(const Value& x, int axis = -1, bool keep = false);
Value softmax(const Value& x, int axis = -1);
Value log_softmax(const Value& x, int axis = -1);
Value argmax(const Value& x, int axis = -1);  // int64, no gradient
// -log softmax(logits) at the labels: [..., classes] and int64 [...] -> [...]. One operation, since
// it is what a classifier or a language model ends in.
Value softmax_cross_entropy(const Value& logits, const Value& labels);
Value sum_to(const Value& x, const Shape& shape);  // reverses broadcast_to
Value dot(const Value& a, const Value& b);         // sum of products of all elements
Value norm(const Value& x);                        // Euclidean norm of all elements

// ---- shape ----
Value reshape(const Value& x, Shape shape);  // one extent may be -1
Value flatten(const Value& x, int from = 1);
Value transpose(const Value& x, std::vector<int> axes = {});  // empty: reverses the axes
Value broadcast_to(const Value& x, const Shape& shape);
Value slice(const Value& x, int axis, std::int64_t begin, std::int64_t end, std::int64_t step = 1);
Value pad(const Value& x, int axis, std::int64_t before, std::int64_t after,
          std::int64_t step = 1);  // zeros; transpose of slice
// What padding repeats: zeros, the inside mirrored at the edge, the edge, the other end (the names
// of torch.nn.functional.pad).
enum class PadMode { zeros, reflect, replicate, circular };
Value pad(const Value& x, int axis, std::int64_t before, std::int64_t after, PadMode mode);
// `count` extents of an axis from `start` on, an int64 scalar known when the plan runs; and x with
// those replaced by `part` (in x's own memory where nobody else reads it).
Value dynamic_slice(const Value& x, int axis, const Value& start, std::int64_t count);
Value dynamic_update(const Value& x, const Value& part, int axis, const Value& start);
Value concat(const Values& parts, int axis = 0);
Value stack(const Values& parts);  // along a new first axis
Value expand_dims(const Value& x, int axis);
Value squeeze(const Value& x, int axis);

// ---- rows by index ----
Value gather(const Value& table, const Value& index);  // [v, ...] and int64 [n...] -> [n..., ...]
Value scatter_add(const Value& g, const Value& index, std::int64_t rows);  // transpose of gather
Value one_hot(const Value& index, std::int64_t classes,
              DType dtype = DType::float32);  // int64 [n...] -> [n..., classes]
Value iota(std::int64_t n, DType dtype = DType::int64);

// ---- linear algebra ----
// a [..., m, k] and b [..., k, n] to [..., m, n]; leading extents equal or absent on one side.
// bfloat16 operands give `out` (float32 by default).
Value matmul(const Value& a, const Value& b, bool transpose_a = false, bool transpose_b = false);

// ---- normalisation over the last `axes` axes, with the shape of which weight and bias are (null:
// none) ----
struct NormOptions {
  int axes = 1;
  double eps = 1e-5;
};
Value layer_norm(const Value& x, const Value& weight = {}, const Value& bias = {},
                 const NormOptions& options = {});  // to mean 0 and variance 1
Value rms_norm(const Value& x, const Value& weight = {},
               const NormOptions& options = {});  // to mean square 1

// ---- attention: softmax(scale q k^T) v, without holding the scores (kernels/attention.h) ----
struct AttentionOptions {
  bool causal = false;  // query i of Q sees keys up to i + K - Q of K: aligned at the end
  std::optional<double> scale = {};  // none: 1 / sqrt(D)
  Value key_mask = {};               // [N, K], not 0: the key is seen; null: all are
  // Of the probabilities, each with this rate. The noise is no operand: a function of the key (as
  // of dropout() below), row, head, query and key, which the gradient computes again.
  double dropout = 0;
  Value key = {};  // int64 scalar, wanted where dropout is not 0
  std::uint64_t stream = 0;
};
// q [N, H, Q, D], k and v [N, H, K, D] to [N, H, Q, D]. bfloat16 operands give float32.
Value attention(const Value& q, const Value& k, const Value& v,
                const AttentionOptions& options = {});
// q, k and v as a fused projection gives them: [N, T, 3, H, D] to [N, T, H D].
Value packed_attention(const Value& qkv, const AttentionOptions& options = {});

// ---- images, NCHW ----
struct Conv2dOptions {
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1,
               groups = 1;
  bool operator==(const Conv2dOptions&) const = default;
};
Value conv2d(const Value& x, const Value& weight,
             const Conv2dOptions& options = {});  // weight [out, in / groups, kh, kw]
// The transpose of conv2d in its input, as torch.nn.functional.conv_transpose2d: weight [in, out /
// groups, kh, kw]; extent (n - 1) stride - 2 pad + dilation (k - 1) + 1 + output_pad.
Value conv_transpose2d(const Value& x, const Value& weight, const Conv2dOptions& options = {},
                       std::int64_t output_pad_h = 0, std::int64_t output_pad_w = 0);
struct Pool2dOptions {
  std::int64_t kernel_h = 2, kernel_w = 2, stride_h = 2, stride_w = 2, pad_h = 0, pad_w = 0;
  bool operator==(const Pool2dOptions&) const = default;
};
Value max_pool2d(const Value& x, const Pool2dOptions& options = {});
Value avg_pool2d(const Value& x, const Pool2dOptions& options = {});  // padding counts as zeros

// ---- random: Philox of (key, stream, element), so a value is a pure function; no gradient ----
// key: int64 scalar. stream: tells operations of one step apart; 0 takes a number from the scope's
// name.
Value random_uniform(const Value& key, const Type& type, std::uint64_t stream = 0);
Value random_normal(const Value& key, const Type& type, std::uint64_t stream = 0);
Value dropout(const Value& x, const Value& key, double rate,
              std::uint64_t stream = 0);  // scales by 1 / (1 - rate)

// ---- shards ----
Value all_reduce_sum(const Value& x);             // per shard -> replicated; replicated: unchanged
Value to_shards(const Value& x);                  // replicated -> per shard, the same for each
Value shard_count(DType dtype = DType::float32);  // scalar
Value batch_size(const Value& x);                 // rows of the whole batch, scalar in x's type
Value batch_sum(const Value& x, std::vector<int> axes = {},
                bool keep = false);  // sum over axes and shards
Value batch_mean(const Value& x, std::vector<int> axes = {},
                 bool keep = false);  // mean over axes and shards

// ---- control of differentiation and scheduling ----
Value stop_gradient(const Value& x);
Value identity(const Value& x);
// Values that must not be merged with, or scheduled before, what `after` needs.
Values barrier(const Values& x, const Values& after);

}  // namespace descent
