// Decompositions of dense matrices on one thread, for optimizers that keep statistics of gradients.
// Whatever the type of the elements, the work is done in double: what is decomposed is often close
// to singular. No call allocates: the caller gives the scratch memory, which is counted in doubles.
//
// Eigenvalues: Householder's reduction to a tridiagonal matrix, then the QR iteration with
// Wilkinson's shift (Golub & Van Loan 2013, "Matrix Computations", 8.3), whose rotations are done
// on few columns at a time and by waves of two steps (Van Zee, van de Geijn & Quintana-Orti 2014,
// "Restructuring the tridiagonal and bidiagonal QR algorithms for performance"); QR by Householder
// reflections (5.2); Cholesky by rows (4.2).
#pragma once
#include <cstdint>

#include "descent/base/dtype.h"

namespace descent::kernels {

// a [n, n], of which (a + a^T) / 2 is decomposed: a = vectors diag(values) vectors^T. Values
// ascend; the component of each vector (a column) with the largest size, the first of equals, is
// positive. All NaN where an element is not finite.
struct SymmetricEigen {
  DType dtype = DType::float32;  // float32 or float64
  std::int64_t n = 0;
  const void* a = nullptr;
  void* values = nullptr;   // [n]
  void* vectors = nullptr;  // [n, n]
};
std::int64_t symmetric_eigen_scratch(std::int64_t n);
void symmetric_eigen(const SymmetricEigen& call, double* scratch);

// a [m, n] = q r with q [m, k] of orthonormal columns, r [k, n] upper triangular with a diagonal
// that is not negative, k = min(m, n).
struct Orthogonal {
  DType dtype = DType::float32;
  std::int64_t m = 0, n = 0;
  const void* a = nullptr;
  void *q = nullptr, *r = nullptr;
};
std::int64_t orthogonal_scratch(std::int64_t m, std::int64_t n);
void orthogonal(const Orthogonal& call, double* scratch);

// x [n, columns] with (a + a^T) / 2 x = b, by Cholesky's decomposition. All NaN where the matrix is
// not positive definite.
struct PositiveSolve {
  DType dtype = DType::float32;
  std::int64_t n = 0, columns = 0;
  const void *a = nullptr, *b = nullptr;
  void* x = nullptr;
};
std::int64_t positive_solve_scratch(std::int64_t n, std::int64_t columns);
void positive_solve(const PositiveSolve& call, double* scratch);

}  // namespace descent::kernels
