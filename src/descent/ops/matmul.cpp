// Matrix products, plain and batched.
#include "descent/ops/matmul.h"

#include <fmt/format.h>

#include "descent/ops/bilinear.h"
#include "descent/ops/ops.h"

namespace descent {

std::string MatmulOp::attributes() const {
  return fmt::format("{}{}{}", transpose_a ? "a^T" : "", transpose_a && transpose_b ? ", " : "",
                     transpose_b ? "b^T" : "");
}

kernels::MatmulShape MatmulOp::shape(std::span<const Type> in) const {
  const auto &a = in[0].shape, &b = in[1].shape;
  kernels::MatmulShape s;
  s.m = a[transpose_a ? -1 : -2];
  s.k = a[transpose_a ? -2 : -1];
  s.n = b[transpose_b ? -2 : -1];
  const auto& lead = a.rank() >= b.rank() ? a : b;
  for (int i = 0; i < lead.rank() - 2; ++i) s.batch *= lead[i];
  s.broadcast_a = a.rank() < lead.rank();
  s.broadcast_b = b.rank() < lead.rank();
  s.transpose_a = transpose_a;
  s.transpose_b = transpose_b;
  s.in = in[0].dtype;
  s.out = out;
  return s;
}

std::vector<Type> MatmulOp::infer(std::span<const Type> in) const {
  const auto &a = in[0].shape, &b = in[1].shape;
  if (a.rank() < 2 || b.rank() < 2)
    fail("wants matrices", in, "reshape vectors to one row or one column");
  if (in[0].dtype != in[1].dtype || !is_floating(in[0].dtype))
    fail("wants two operands of one floating type", in, "cast() one of them");
  const auto s = shape(in);
  if (s.k != b[transpose_b ? -1 : -2]) {
    fail(fmt::format("inner extents differ: {} and {}", s.k, b[transpose_b ? -1 : -2]), in);
  }
  const auto& lead = a.rank() >= b.rank() ? a : b;
  if (a.rank() > 2 && b.rank() > 2) {
    for (int i = 0; i < lead.rank() - 2; ++i) {
      if (a.rank() != b.rank() || a[i] != b[i]) fail("leading extents differ", in);
    }
  }
  Shape result = lead;
  result[-2] = s.m;
  result[-1] = s.n;
  return {{out, result, any_per_shard(in)}};
}

// With A = op(a), B = op(b): dA = g B^T, dB = A^T g, transposed back where stored so.
Values MatmulOp::vjp(ValueSpan in, ValueSpan, ValueSpan cotangent) const {
  const Value& a = in[0];
  const Value& b = in[1];
  const Value g = cast(cotangent[0], a.dtype());
  const Value da =
      transpose_a ? matmul(b, g, transpose_b, true) : matmul(g, b, false, !transpose_b);
  const Value db =
      transpose_b ? matmul(g, a, true, transpose_a) : matmul(a, g, !transpose_a, false);
  return {sum_to(da, a.shape()), sum_to(db, b.shape())};
}
Values MatmulOp::jvp(ValueSpan in, ValueSpan, ValueSpan tangent) const {
  return bilinear_jvp(*this, in, tangent);
}

Kernel MatmulOp::bind(const Binding& b) const {
  const kernels::Matmul product(shape(b.in_types));
  return whole(product.bind(b.in[0], b.in[1], b.out[0], b.scratch));
}
std::size_t MatmulOp::scratch_bytes(std::span<const Type> in, std::span<const Type>) const {
  return kernels::Matmul(shape(in)).scratch_bytes();
}
double MatmulOp::flops(std::span<const Type> in, std::span<const Type>) const {
  const auto s = shape(in);
  return 2.0 * static_cast<double>(s.batch * s.m * s.k * s.n);
}

Value matmul(const Value& a, const Value& b, bool transpose_a, bool transpose_b) {
  const DType out = a.dtype() == DType::bfloat16 ? DType::float32 : a.dtype();
  // Many rows times one matrix is one tall product.
  if (a.rank() > 2 && b.rank() == 2 && !transpose_a) {
    Shape result = a.shape();
    const Value flat = matmul(reshape(a, {-1, a.shape()[-1]}), b, false, transpose_b);
    result[-1] = flat.shape()[-1];
    return reshape(flat, result);
  }
  return apply(MatmulOp(transpose_a, transpose_b, out), {a, b});
}

}  // namespace descent
