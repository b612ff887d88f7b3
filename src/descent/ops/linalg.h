// Decompositions as operations, for float32 and float64 (the work is done in double). Leading
// extents are a batch. The result depends on the values alone, never on the number of threads.
#pragma once
#include "descent/ir/value.h"

namespace descent {

// x = vectors diag(values) vectors^T of the symmetric part (x + x^T) / 2 of x [..., n, n]; values
// [..., n] ascend, vectors are the columns of [..., n, n], of each the component of largest size is
// positive. Differentiable where all values differ: the derivative of the vectors has the factors
// 1 / (values_i - values_j), which are taken as 0 where two are equal (what depends on the space
// they span, and not on the vectors themselves, is still right then) and are large where two are
// close. Giles 2008, "Collected matrix derivative results for forward and reverse mode AD".
struct Eigh {
  Value values, vectors;
};
Eigh eigh(const Value& x);

// x [..., m, n] = q r, q [..., m, k] with orthonormal columns and r [..., k, n] upper triangular, k
// = min(m, n). The diagonal of r is not negative, which makes both unique where x has full rank. No
// derivative.
struct Qr {
  Value q, r;
};
Qr qr(const Value& x);

// a^-1 b of a positive definite a [..., n, n] (of its symmetric part) and b [..., n, m]. All NaN
// where a is not positive definite.
Value solve_spd(const Value& a, const Value& b);

// The order that sorts the last axis, as places (int64) for gather(): falling, equals as they lie.
// No gradient.
Value falling_order(const Value& x);

// The identity matrix.
Value eye(std::int64_t n, DType dtype = DType::float32);

}  // namespace descent
