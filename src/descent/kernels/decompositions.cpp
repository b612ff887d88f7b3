#include "descent/kernels/decompositions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/decompositions.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<double>;

// ---- vectors ----

// In four interleaved sums, which hide the latency of additions.
HWY_INLINE double Dot(const double* a, const double* b, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
    s1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), s1);
    s2 = hn::MulAdd(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), s2);
    s3 = hn::MulAdd(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), s3);
  }
  for (; i + lanes <= n; i += lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), s0);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

// y += f x
HWY_INLINE void AddTimes(double f, const double* x, double* y, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, f);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  }
  for (; i < n; ++i) y[i] += f * x[i];
}

// (a, b) = (c a - s b, s a + c b)
HWY_INLINE void Rotate(double c, double s, double* a, double* b, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto cv = hn::Set(d, c), sv = hn::Set(d, s);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, a + i), y = hn::LoadU(d, b + i);
    hn::StoreU(hn::Sub(hn::Mul(cv, x), hn::Mul(sv, y)), d, a + i);
    hn::StoreU(hn::Add(hn::Mul(sv, x), hn::Mul(cv, y)), d, b + i);
  }
  for (; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// ---- elements ----

template <class T>
double LargestOf(const T* a, std::int64_t n) {
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double size = std::abs(static_cast<double>(a[i]));
    if (!(size <= largest)) largest = size;  // a NaN stays
    if (!std::isfinite(largest)) return largest;
  }
  return largest;
}

template <class T>
void FillNaN(void* to, std::int64_t n) {
  std::fill_n(static_cast<T*>(to), n, std::numeric_limits<T>::quiet_NaN());
}

// (a + a^T) / 2 times `factor`.
template <class T>
void CopySymmetric(const T* a, double factor, double* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double both = static_cast<double>(a[i * n + j]) + static_cast<double>(a[j * n + i]);
      to[i * n + j] = to[j * n + i] = 0.5 * factor * both;
    }
  }
}

// ---- reflections ----

// The reflection H = I - tau v v^T that takes x to (alpha, 0, ...); x becomes v.
struct Reflection {
  double alpha, tau;
};
HWY_INLINE Reflection Reflect(double* x, std::int64_t n) {
  const double first = x[0], rest = n > 1 ? Dot(x + 1, x + 1, n - 1) : 0;
  if (rest == 0) return {first, 0};
  const double alpha = -std::copysign(std::sqrt(first * first + rest), first);
  x[0] = first - alpha;
  return {alpha, 2 / (x[0] * x[0] + rest)};
}

// ---- eigenvalues ----

// a, symmetric and whole, to the diagonal d and the one beside it, e; row k of a then holds the
// vector of reflection k in its columns from k + 1 on. w: n of room.
void Tridiagonalise(double* a, std::int64_t n, double* d, double* e, double* tau, double* w) {
  for (std::int64_t k = 0; k + 1 < n; ++k) {
    d[k] = a[k * n + k];
    const std::int64_t m = n - 1 - k;
    double* v = a + k * n + k + 1;
    const auto h = Reflect(v, m);
    e[k] = h.alpha;
    tau[k] = h.tau;
    if (h.tau == 0) continue;
    double* rest = a + (k + 1) * n + k + 1;
    for (std::int64_t i = 0; i < m; ++i) w[i] = h.tau * Dot(rest + i * n, v, m);
    AddTimes(-0.5 * h.tau * Dot(w, v, m), v, w, m);
    for (std::int64_t i = 0; i < m; ++i) {
      AddTimes(-v[i], w, rest + i * n, m);
      AddTimes(-w[i], v, rest + i * n, m);
    }
  }
  if (n > 0) d[n - 1] = a[n * n - 1];
}

// The product of the reflections, transposed: its rows will become the vectors.
void CollectReflections(const double* a, std::int64_t n, const double* tau, double* z) {
  std::fill_n(z, n * n, 0.0);
  for (std::int64_t i = 0; i < n; ++i) z[i * n + i] = 1;
  for (std::int64_t k = n - 2; k >= 0; --k) {
    if (tau[k] == 0) continue;
    const std::int64_t first = k + 1;
    const double* v = a + k * n + first;
    for (std::int64_t i = first; i < n; ++i) {
      double* row = z + i * n + first;
      AddTimes(-tau[k] * Dot(row, v, n - first), v, row, n - first);
    }
  }
}

// One implicit QR step on the rows [low, high] of the tridiagonal matrix.
void QrStep(double* d, double* e, std::int64_t low, std::int64_t high, double* z, std::int64_t n) {
  const double half = 0.5 * (d[high - 1] - d[high]), beside = e[high - 1];
  const double shift =
      d[high] - beside * (beside / (half + std::copysign(std::hypot(half, beside), half)));
  double x = d[low] - shift, bulge = e[low];
  for (std::int64_t k = low; k < high; ++k) {
    const double r = std::hypot(x, bulge);
    const double c = r == 0 ? 1 : x / r, s = r == 0 ? 0 : -bulge / r;
    const double p = s * d[k] + c * e[k], q = s * e[k] + c * d[k + 1];
    d[k] = c * (c * d[k] - s * e[k]) - s * (c * e[k] - s * d[k + 1]);
    d[k + 1] = s * p + c * q;
    e[k] = c * p - s * q;
    if (k > low) e[k - 1] = r;
    x = e[k];
    if (k + 1 < high) {
      bulge = -s * e[k + 1];
      e[k + 1] *= c;
    }
    Rotate(c, s, z + k * n, z + (k + 1) * n, n);
  }
}

// False where it does not converge, which no finite matrix is known to do.
bool Diagonalise(double* d, double* e, std::int64_t n, double* z) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  std::int64_t left = 60 * n;
  for (std::int64_t high = n - 1; high > 0;) {
    for (std::int64_t k = 0; k < high; ++k) {
      if (std::abs(e[k]) <= kEps * (std::abs(d[k]) + std::abs(d[k + 1]))) e[k] = 0;
    }
    while (high > 0 && e[high - 1] == 0) --high;
    if (high == 0) break;
    std::int64_t low = high - 1;
    while (low > 0 && e[low - 1] != 0) --low;
    if (left-- == 0) return false;
    QrStep(d, e, low, high, z, n);
  }
  return true;
}

void SortAscending(double* d, double* z, std::int64_t n) {
  for (std::int64_t i = 0; i + 1 < n; ++i) {
    const std::int64_t least = std::min_element(d + i, d + n) - d;
    if (least == i) continue;
    std::swap(d[i], d[least]);
    std::swap_ranges(z + i * n, z + (i + 1) * n, z + least * n);
  }
}

template <class T>
void EigenOf(const SymmetricEigen& call, double* scratch) {
  const std::int64_t n = call.n;
  const auto* a = static_cast<const T*>(call.a);
  double *work = scratch, *z = work + n * n, *d = z + n * n, *e = d + n, *tau = e + n, *w = tau + n;
  // Scaled to 1, so that squares neither overflow nor vanish.
  const double largest = LargestOf(a, n * n);
  bool good = std::isfinite(largest);
  if (good) {
    CopySymmetric(a, largest == 0 ? 0 : 1 / largest, work, n);
    Tridiagonalise(work, n, d, e, tau, w);
    CollectReflections(work, n, tau, z);
    good = Diagonalise(d, e, n, z);
  }
  if (!good) {
    FillNaN<T>(call.values, n);
    return FillNaN<T>(call.vectors, n * n);
  }
  SortAscending(d, z, n);
  for (std::int64_t j = 0; j < n; ++j) {
    static_cast<T*>(call.values)[j] = static_cast<T>(d[j] * largest);
    const double* row = z + j * n;
    const auto at = std::max_element(row, row + n,
                                     [](double x, double y) { return std::abs(x) < std::abs(y); });
    const double sign = *at < 0 ? -1 : 1;
    for (std::int64_t i = 0; i < n; ++i) {
      static_cast<T*>(call.vectors)[i * n + j] = static_cast<T>(sign * row[i]);
    }
  }
}

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

void EigenFor(const SymmetricEigen& call, double* scratch) {
  call.dtype == DType::float64 ? EigenOf<double>(call, scratch) : EigenOf<float>(call, scratch);
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
HWY_EXPORT(EigenFor);
HWY_EXPORT(OrthogonalFor);
HWY_EXPORT(SolveFor);

std::int64_t symmetric_eigen_scratch(std::int64_t n) { return 2 * n * n + 4 * n; }
void symmetric_eigen(const SymmetricEigen& call, double* scratch) {
  HWY_DYNAMIC_DISPATCH(EigenFor)(call, scratch);
}

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
