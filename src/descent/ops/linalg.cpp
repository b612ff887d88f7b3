// Eigenvalues, QR and positive definite systems (kernels/decompositions.h).
#include "descent/ops/linalg.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "descent/ir/op.h"
#include "descent/kernels/decompositions.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

void require_matrices(const Op& op, std::span<const Type> in) {
  for (const auto& type : in) {
    if (type.shape.rank() < 2) op.fail("wants matrices", in);
    if (type.dtype == DType::float32 || type.dtype == DType::float64) continue;
    op.fail(fmt::format("not defined for {}", name_of(type.dtype)), in, "cast() to float32 first");
  }
}
void require_square(const Op& op, std::span<const Type> in) {
  if (in[0].shape[-1] != in[0].shape[-2]) op.fail("the matrix must be square", in);
}

std::int64_t batch_of(const Shape& s) {
  std::int64_t n = 1;
  for (int i = 0; i < s.rank() - 2; ++i) n *= s[i];
  return n;
}
Shape with_matrix(const Shape& s, std::int64_t rows, std::int64_t columns) {
  Shape out = s;
  out[-2] = rows;
  out[-1] = columns;
  return out;
}
Shape without_last(const Shape& s) {
  Shape out;
  for (int i = 0; i + 1 < s.rank(); ++i) out.push_back(s[i]);
  return out;
}
std::size_t doubles(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(double); }

// Where matrix i of a batch begins.
template <class Byte>
Byte* matrix_at(Byte* base, std::int64_t i, std::int64_t elements, DType dtype) {
  return base + i * elements * static_cast<std::int64_t>(size_of(dtype));
}

Value transposed(const Value& x) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return transpose(x, axes);
}
Value symmetric_part(const Value& x) { return 0.5 * (x + transposed(x)); }
// [..., n] to [..., n, n] with x on the diagonal.
Value diagonal(const Value& x) { return expand_dims(x, -1) * eye(x.shape()[-1], x.dtype()); }
Value plus(const Value& a, const Value& b) { return !a ? b : !b ? a : a + b; }

// F_ij = 1 / (w_j - w_i), 0 on the diagonal and between equals.
Value reciprocal_gaps(const Value& w) {
  const Value gaps = expand_dims(w, -2) - expand_dims(w, -1);
  const Value equals = equal_mask(gaps, zeros_like(gaps));
  return (1.0 - equals) / (gaps + equals);
}

struct EighOp final : OpBase<EighOp> {
  bool operator==(const EighOp&) const = default;
  std::string_view name() const override { return "eigh"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    require_matrices(*this, in);
    require_square(*this, in);
    return {{in[0].dtype, without_last(in[0].shape), in[0].per_shard}, in[0]};
  }
  // V (diag(g_w) + F o (V^T g_V)) V^T, made symmetric.
  Values vjp(ValueSpan, ValueSpan out, ValueSpan cotangent) const override {
    const Value &w = out[0], &v = out[1];
    Value inner;
    if (cotangent[0]) inner = diagonal(cotangent[0]);
    if (cotangent[1]) {
      inner = plus(inner, reciprocal_gaps(w) * matmul(v, cotangent[1], true));
    }
    if (!inner) return {Value()};
    return {symmetric_part(matmul(matmul(v, inner), v, false, true))};
  }
  // With P = V^T dx V: dw = diag(P), dV = V (F o P).
  Values jvp(ValueSpan, ValueSpan out, ValueSpan tangent) const override {
    const Value &w = out[0], &v = out[1];
    const Value p = matmul(matmul(v, symmetric_part(tangent[0]), true), v);
    return {sum(p * eye(p.shape()[-1], p.dtype()), {-1}), matmul(v, reciprocal_gaps(w) * p)};
  }
  Kernel bind(const Binding& b) const override {
    const auto& type = b.in_types[0];
    const auto n = type.shape[-1], batch = batch_of(type.shape);
    return whole([n, batch, dtype = type.dtype, x = b.in[0], w = b.out[0], v = b.out[1],
                  scratch = reinterpret_cast<double*>(b.scratch)] {
      for (std::int64_t i = 0; i < batch; ++i) {
        kernels::symmetric_eigen({.dtype = dtype,
                                  .n = n,
                                  .a = matrix_at(x, i, n * n, dtype),
                                  .values = matrix_at(w, i, n, dtype),
                                  .vectors = matrix_at(v, i, n * n, dtype)},
                                 scratch);
      }
    });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return doubles(kernels::symmetric_eigen_scratch(in[0].shape[-1]));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    return 9.0 * static_cast<double>(in[0].shape.size() * in[0].shape[-1]);
  }
};

struct QrOp final : OpBase<QrOp> {
  bool operator==(const QrOp&) const = default;
  std::string_view name() const override { return "qr"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    require_matrices(*this, in);
    const auto& s = in[0].shape;
    const auto k = std::min(s[-2], s[-1]);
    return {{in[0].dtype, with_matrix(s, s[-2], k), in[0].per_shard},
            {in[0].dtype, with_matrix(s, k, s[-1]), in[0].per_shard}};
  }
  Kernel bind(const Binding& b) const override {
    const auto& type = b.in_types[0];
    const auto m = type.shape[-2], n = type.shape[-1], batch = batch_of(type.shape);
    return whole([m, n, batch, dtype = type.dtype, x = b.in[0], q = b.out[0], r = b.out[1],
                  scratch = reinterpret_cast<double*>(b.scratch)] {
      const auto k = std::min(m, n);
      for (std::int64_t i = 0; i < batch; ++i) {
        kernels::orthogonal({.dtype = dtype,
                             .m = m,
                             .n = n,
                             .a = matrix_at(x, i, m * n, dtype),
                             .q = matrix_at(q, i, m * k, dtype),
                             .r = matrix_at(r, i, k * n, dtype)},
                            scratch);
      }
    });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return doubles(kernels::orthogonal_scratch(in[0].shape[-2], in[0].shape[-1]));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    const auto& s = in[0].shape;
    return 4.0 * static_cast<double>(s.size() * std::min(s[-2], s[-1]));
  }
};

struct SolveSpdOp final : OpBase<SolveSpdOp> {
  bool operator==(const SolveSpdOp&) const = default;
  std::string_view name() const override { return "solve_spd"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    require_matrices(*this, in);
    require_square(*this, in);
    const auto &a = in[0].shape, &b = in[1].shape;
    if (in[0].dtype != in[1].dtype)
      fail("wants two operands of one type", in, "cast() one of them");
    if (a[-1] != b[-2]) fail(fmt::format("inner extents differ: {} and {}", a[-1], b[-2]), in);
    if (with_matrix(a, 1, 1) != with_matrix(b, 1, 1)) {
      fail("leading extents differ", in, "broadcast_to() one of them");
    }
    return {{in[0].dtype, b, any_per_shard(in)}};
  }
  // g_b = a^-1 g, g_a = -g_b x^T, made symmetric.
  Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const override {
    const Value gb = apply(*this, {in[0], cotangent[0]});
    return {symmetric_part(-matmul(gb, out[0], false, true)), gb};
  }
  // dx = a^-1 (db - da x)
  Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const override {
    Value right = tangent[1];
    if (tangent[0]) right = plus(right, -matmul(symmetric_part(tangent[0]), out[0]));
    return {apply(*this, {in[0], right})};
  }
  Kernel bind(const Binding& b) const override {
    const auto& right = b.in_types[1];
    const auto n = right.shape[-2], m = right.shape[-1], batch = batch_of(right.shape);
    return whole([n, m, batch, dtype = right.dtype, a = b.in[0], y = b.in[1], x = b.out[0],
                  scratch = reinterpret_cast<double*>(b.scratch)] {
      for (std::int64_t i = 0; i < batch; ++i) {
        kernels::positive_solve({.dtype = dtype,
                                 .n = n,
                                 .columns = m,
                                 .a = matrix_at(a, i, n * n, dtype),
                                 .b = matrix_at(y, i, n * m, dtype),
                                 .x = matrix_at(x, i, n * m, dtype)},
                                scratch);
      }
    });
  }
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type>) const override {
    return doubles(kernels::positive_solve_scratch(in[1].shape[-2], in[1].shape[-1]));
  }
  double flops(std::span<const Type> in, std::span<const Type>) const override {
    const auto n = static_cast<double>(in[0].shape[-1]);
    return static_cast<double>(in[0].shape.size()) * n / 3 +
           2 * static_cast<double>(in[1].shape.size()) * n;
  }
};

// NaN as the least, so that the order is one.
template <class T>
void sort_falling(const T* x, std::int64_t* order, std::int64_t n) {
  std::iota(order, order + n, std::int64_t{0});
  std::sort(order, order + n, [x](std::int64_t a, std::int64_t b) {
    const bool nan_a = x[a] != x[a], nan_b = x[b] != x[b];
    if (nan_a != nan_b) return nan_b;
    if (!nan_a && x[a] != x[b]) return x[a] > x[b];
    return a < b;
  });
}

struct FallingOrderOp final : OpBase<FallingOrderOp> {
  bool operator==(const FallingOrderOp&) const = default;
  std::string_view name() const override { return "falling_order"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].shape.rank() < 1) fail("wants an axis", in);
    if (in[0].dtype != DType::float32 && in[0].dtype != DType::float64) {
      fail(fmt::format("not defined for {}", name_of(in[0].dtype)), in, "cast() to float32 first");
    }
    return {{DType::int64, in[0].shape, in[0].per_shard}};
  }
  Values vjp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Values jvp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Kernel bind(const Binding& b) const override {
    const auto& type = b.in_types[0];
    return whole([n = type.shape[-1], all = type.shape.size(), wide = type.dtype == DType::float64,
                  x = b.in[0], o = reinterpret_cast<std::int64_t*>(b.out[0])] {
      for (std::int64_t at = 0; at < all; at += n) {
        wide ? sort_falling(reinterpret_cast<const double*>(x) + at, o + at, n)
             : sort_falling(reinterpret_cast<const float*>(x) + at, o + at, n);
      }
    });
  }
};

}  // namespace

Eigh eigh(const Value& x) {
  const auto both = apply_all(std::make_shared<const EighOp>(), {x});
  return {both[0], both[1]};
}

Qr qr(const Value& x) {
  const auto both = apply_all(std::make_shared<const QrOp>(), {x});
  return {both[0], both[1]};
}

Value solve_spd(const Value& a, const Value& b) { return apply(SolveSpdOp(), {a, b}); }

Value falling_order(const Value& x) { return apply(FallingOrderOp(), {x}); }

Value eye(std::int64_t n, DType dtype) {
  Array a(dtype, {n, n});
  for (std::int64_t i = 0; i < n; ++i) a.set_item(i * n + i, 1);
  return constant(std::move(a));
}

}  // namespace descent
