#include "descent/kernels/decompositions.h"

#include <algorithm>
#include <cmath>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/decompositions.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/decompositions-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// ---- QR ----

template <class T>
void OrthogonalOf(const Orthogonal& call, double* scratch) {
  const std::int64_t m = call.m, n = call.n, k = std::min(m, n);
  const auto* a = static_cast<const T*>(call.a);
  double *columns = scratch, *q = columns + n * m, *diagonal = q + k * m, *tau = diagonal + k;
  const double largest = LargestOf(a, m * n);
  if (!std::isfinite(largest)) {
    FillNaN<T>(call.q, m * k);
    return FillNaN<T>(call.r, k * n);
  }
  const double factor = largest == 0 ? 0 : 1 / largest;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      columns[j * m + i] = factor * static_cast<double>(a[i * n + j]);
    }
  }
  for (std::int64_t j = 0; j < k; ++j) {
    double* v = columns + j * m + j;
    const auto h = Reflect(v, m - j);
    diagonal[j] = h.alpha;
    tau[j] = h.tau;
    for (std::int64_t c = j + 1; c < n && h.tau != 0; ++c) {
      double* x = columns + c * m + j;
      AddTimes(-h.tau * Dot(x, v, m - j), v, x, m - j);
    }
  }
  std::fill_n(q, k * m, 0.0);
  for (std::int64_t j = 0; j < k; ++j) q[j * m + j] = 1;
  for (std::int64_t j = k - 1; j >= 0; --j) {
    const double* v = columns + j * m + j;
    for (std::int64_t i = j; i < k && tau[j] != 0; ++i) {
      double* x = q + i * m + j;
      AddTimes(-tau[j] * Dot(x, v, m - j), v, x, m - j);
    }
  }
  for (std::int64_t j = 0; j < k; ++j) {
    const double sign = diagonal[j] < 0 ? -1 : 1;
    for (std::int64_t i = 0; i < m; ++i) {
      static_cast<T*>(call.q)[i * k + j] = static_cast<T>(sign * q[j * m + i]);
    }
    for (std::int64_t c = 0; c < n; ++c) {
      const double x = c < j ? 0 : c == j ? diagonal[j] : columns[c * m + j];
      static_cast<T*>(call.r)[j * n + c] = static_cast<T>(sign * largest * x);
    }
  }
}

// ---- Cholesky ----

// The lower triangle of a becomes the factor. False where a is not positive definite.
bool Factor(double* a, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    double* row = a + i * n;
    for (std::int64_t j = 0; j < i; ++j) {
      row[j] = (row[j] - Dot(row, a + j * n, j)) / a[j * n + j];
    }
    const double square = row[i] - Dot(row, row, i);
    if (!(square > 0) || !std::isfinite(square)) return false;
    row[i] = std::sqrt(square);
  }
  return true;
}

constexpr std::int64_t kColumns = 64;  // at once: they stay in the cache

// x, rows of `count` columns `stride` apart, becomes (l l^T)^-1 x.
void SolveColumns(const double* l, std::int64_t n, double* x, std::int64_t stride,
                  std::int64_t count) {
  const auto divide = [&](std::int64_t i) {
    for (std::int64_t c = 0; c < count; ++c) x[i * stride + c] /= l[i * n + i];
  };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      AddTimes(-l[i * n + j], x + j * stride, x + i * stride, count);
    }
    divide(i);
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    divide(i);
    for (std::int64_t j = 0; j < i; ++j) {
      AddTimes(-l[i * n + j], x + i * stride, x + j * stride, count);
    }
  }
}

template <class T>
void SolveOf(const PositiveSolve& call, double* scratch) {
  const std::int64_t n = call.n, columns = call.columns;
  double *l = scratch, *x = l + n * n;
  const auto* b = static_cast<const T*>(call.b);
  CopySymmetric(static_cast<const T*>(call.a), 1, l, n);
  if (!Factor(l, n)) return FillNaN<T>(call.x, n * columns);
  std::copy_n(b, n * columns, x);
  for (std::int64_t c = 0; c < columns; c += kColumns) {
    SolveColumns(l, n, x + c, columns, std::min(kColumns, columns - c));
  }
  for (std::int64_t i = 0; i < n * columns; ++i) {
    static_cast<T*>(call.x)[i] = static_cast<T>(x[i]);
  }
}

void OrthogonalFor(const Orthogonal& call, double* scratch) {
  call.dtype == DType::float64 ? OrthogonalOf<double>(call, scratch)
                               : OrthogonalOf<float>(call, scratch);
}
void SolveFor(const PositiveSolve& call, double* scratch) {
  call.dtype == DType::float64 ? SolveOf<double>(call, scratch) : SolveOf<float>(call, scratch);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(OrthogonalFor);
HWY_EXPORT(SolveFor);

std::int64_t orthogonal_scratch(std::int64_t m, std::int64_t n) {
  const auto k = std::min(m, n);
  return (n + k) * m + 2 * k;
}
void orthogonal(const Orthogonal& call, double* scratch) {
  HWY_DYNAMIC_DISPATCH(OrthogonalFor)(call, scratch);
}

std::int64_t positive_solve_scratch(std::int64_t n, std::int64_t columns) {
  return n * n + n * columns;
}
void positive_solve(const PositiveSolve& call, double* scratch) {
  HWY_DYNAMIC_DISPATCH(SolveFor)(call, scratch);
}

}  // namespace descent::kernels
#endif
