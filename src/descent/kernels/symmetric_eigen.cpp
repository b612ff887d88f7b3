// Eigenvalues and vectors of symmetric matrices.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "descent/kernels/decompositions.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/symmetric_eigen.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/decompositions-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- vectors ----

// y += f x + g u; w += h y. Returns the sum of y v.
HWY_INLINE double ChangeAndMultiply(double f, const double* x, double g, const double* u, double* y,
                                    double h, const double* v, double* w, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto fv = hn::Set(d, f), gv = hn::Set(d, g), hv = hn::Set(d, h);
  auto s0 = hn::Zero(d), s1 = s0;
  const auto one = [&](std::int64_t at) HWY_ATTR {
    const auto row = hn::MulAdd(gv, hn::LoadU(d, u + at),
                                hn::MulAdd(fv, hn::LoadU(d, x + at), hn::LoadU(d, y + at)));
    hn::StoreU(row, d, y + at);
    hn::StoreU(hn::MulAdd(hv, row, hn::LoadU(d, w + at)), d, w + at);
    return hn::Mul(row, hn::LoadU(d, v + at));
  };
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    s0 = hn::Add(s0, one(i));
    s1 = hn::Add(s1, one(i + lanes));
  }
  double total = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < n; ++i) {
    y[i] += f * x[i] + g * u[i];
    w[i] += h * y[i];
    total += y[i] * v[i];
  }
  return total;
}

// {x a, x b}
HWY_INLINE std::pair<double, double> DotTwo(const double* x, const double* a, const double* b,
                                            std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto a0 = hn::Zero(d), a1 = a0, b0 = a0, b1 = a0;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto x0 = hn::LoadU(d, x + i), x1 = hn::LoadU(d, x + i + lanes);
    a0 = hn::MulAdd(x0, hn::LoadU(d, a + i), a0);
    b0 = hn::MulAdd(x0, hn::LoadU(d, b + i), b0);
    a1 = hn::MulAdd(x1, hn::LoadU(d, a + i + lanes), a1);
    b1 = hn::MulAdd(x1, hn::LoadU(d, b + i + lanes), b1);
  }
  double first = hn::GetLane(hn::SumOfLanes(d, hn::Add(a0, a1)));
  double second = hn::GetLane(hn::SumOfLanes(d, hn::Add(b0, b1)));
  for (; i < n; ++i) first += x[i] * a[i], second += x[i] * b[i];
  return {first, second};
}

// y += f x + g u
HWY_INLINE void AddTimesTwo(double f, const double* x, double g, const double* u, double* y,
                            std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto fv = hn::Set(d, f), gv = hn::Set(d, g);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto once = hn::MulAdd(fv, hn::LoadU(d, x + i), hn::LoadU(d, y + i));
    hn::StoreU(hn::MulAdd(gv, hn::LoadU(d, u + i), once), d, y + i);
  }
  for (; i < n; ++i) y[i] += f * x[i] + g * u[i];
}

// (a, b) = (c a - s b, s a + c b)
HWY_INLINE void Rotate(double c, double s, double* a, double* b, std::int64_t n) {
  const Tag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto cv = hn::Set(d, c), sv = hn::Set(d, s);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, a + i), y = hn::LoadU(d, b + i);
    hn::StoreU(hn::NegMulAdd(sv, y, hn::Mul(cv, x)), d, a + i);
    hn::StoreU(hn::MulAdd(sv, x, hn::Mul(cv, y)), d, b + i);
  }
  for (; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// The same to (0, ..., 0, alpha).
HWY_INLINE Reflection ReflectToLast(double* x, std::int64_t n) {
  const double last = x[n - 1], rest = Dot(x, x, n - 1);
  if (rest == 0) return {last, 0};
  const double alpha = -std::copysign(std::sqrt(last * last + rest), last);
  x[n - 1] = last - alpha;
  return {alpha, 2 / (x[n - 1] * x[n - 1] + rest)};
}

// a, symmetric, of which the lower triangle is used, to the diagonal d and the one beside it, e;
// from the last row up. Row k of a then holds the vector of reflection k in its columns before k.
// w: 2 n of room.
//
// Reflection k changes row i by -v_i w - w_i v. That waits until the next one multiplies the row:
// so the triangle passes through the processor once for each reflection, not twice.
void Tridiagonalise(double* a, std::int64_t n, double* d, double* e, double* tau, double* w) {
  const double *v_before = nullptr, *w_before = nullptr;  // of the change that is due
  double* w_now = w;
  const auto change = [&](std::int64_t i, std::int64_t columns) {  // of row i, where it is due
    if (v_before == nullptr) return;
    AddTimesTwo(-v_before[i], w_before, -w_before[i], v_before, a + i * n, columns);
  };
  for (std::int64_t k = n - 1; k > 0; --k) {
    change(k, k + 1);
    double* v = a + k * n;
    d[k] = v[k];
    const auto h = ReflectToLast(v, k);
    e[k - 1] = h.alpha;
    tau[k] = h.tau;
    if (h.tau == 0) {
      for (std::int64_t i = 0; i < k; ++i) change(i, i + 1);
      v_before = nullptr;
      continue;
    }
    // w = tau A v by the triangle: row i gives w_i, and its part of the w before.
    for (std::int64_t i = 0; i < k; ++i) {
      double* row = a + i * n;
      const double f = v_before == nullptr ? 0 : -v_before[i];
      const double g = v_before == nullptr ? 0 : -w_before[i];
      const double* x = v_before == nullptr ? v : w_before;
      const double* u = v_before == nullptr ? v : v_before;
      const double sum = ChangeAndMultiply(f, x, g, u, row, v[i], v, w_now, i);
      row[i] += f * x[i] + g * u[i];
      w_now[i] = sum + row[i] * v[i];
    }
    for (std::int64_t i = 0; i < k; ++i) w_now[i] *= h.tau;
    AddTimes(-0.5 * h.tau * Dot(w_now, v, k), v, w_now, k);
    v_before = v, w_before = w_now;
    w_now = w_now == w ? w + n : w;
  }
  if (n == 0) return;
  change(0, 1);
  d[0] = a[0];
}

// The product of the reflections, transposed: its rows will become the vectors. A few rows at a
// time, which stay in the cache while the reflections pass by; and these two by two: with t1 = tau1
// x v1 and t2 = tau2 (x v2 - t1 v1 v2), x H1 H2 = x - t1 v1 - t2 v2. w: n of room.
void CollectReflections(const double* a, std::int64_t n, const double* tau, double* z, double* w) {
  constexpr std::int64_t kRows = 8;
  std::fill_n(z, n * n, 0.0);
  for (std::int64_t i = 0; i < n; ++i) z[i * n + i] = 1;
  for (std::int64_t k = kRows; k + 1 < n; k += 2) w[k] = Dot(a + k * n, a + (k + 1) * n, k);
  for (std::int64_t begin = 0; begin < n; begin += kRows) {
    const std::int64_t end = std::min(n, begin + kRows);
    std::int64_t k = begin + 1;
    const auto one = [&] {
      for (std::int64_t i = begin; i < std::min(k, end) && tau[k] != 0; ++i) {
        double* row = z + i * n;
        AddTimes(-tau[k] * Dot(row, a + k * n, k), a + k * n, row, k);
      }
    };
    for (; k < end; ++k) one();
    for (; k + 1 < n; k += 2) {
      const double *v1 = a + k * n, *v2 = v1 + n;
      for (std::int64_t i = begin; i < end; ++i) {
        double* row = z + i * n;
        const auto along = DotTwo(row, v1, v2, k);
        const double t1 = tau[k] * along.first, t2 = tau[k + 1] * (along.second - t1 * w[k]);
        AddTimesTwo(-t1, v1, -t2, v2, row, k);
        row[k] = -t2 * v2[k];
      }
    }
    for (; k < n; ++k) one();
  }
}

// Rotations of neighbouring rows of z, written down by the QR steps and done later for many steps
// at once, some columns after others: these stay in the cache, and a row on its way down in the
// registers. A step is a list of {low, high, c, s of row low and the next, ...}.
class Rotations {
 public:
  // room: n n doubles. Few columns are rotated at once.
  Rotations(double* z, std::int64_t n, double* room)
      : z_(z), n_(n), width_(4 * static_cast<std::int64_t>(hn::Lanes(Tag()))), panel_(room) {
    at_once_ = n < 2 * width_;
    begin_ = at_ = room + n * width_;
    end_ = room + n * n;
  }
  void Begin(std::int64_t low, std::int64_t high) {
    if (at_once_) return;
    if (end_ - at_ < 2 + 2 * (high - low)) Flush();
    *at_++ = static_cast<double>(low);
    *at_++ = static_cast<double>(high);
  }
  void Add(std::int64_t k, double c, double s) {
    if (at_once_) return Rotate(c, s, z_ + k * n_, z_ + (k + 1) * n_, n_);
    *at_++ = c;
    *at_++ = s;
  }
  void Flush() {
    if (at_once_ || at_ == begin_) return;
    for (std::int64_t j = 0; j < n_; j += width_) {
      const std::int64_t columns = std::min(width_, n_ - j);
      for (std::int64_t i = 0; i < n_; ++i) {
        std::copy_n(z_ + i * n_ + j, columns, panel_ + i * width_);
        std::fill(panel_ + i * width_ + columns, panel_ + (i + 1) * width_, 0.0);
      }
      for (const double* step = begin_; step != at_;) step = RotatePanel(step);
      for (std::int64_t i = 0; i < n_; ++i)
        std::copy_n(panel_ + i * width_, columns, z_ + i * n_ + j);
    }
    at_ = begin_;
  }

 private:
  using Vec = hn::Vec<Tag>;
  struct Row {  // of the panel, in registers
    Vec a, b, c, d;
  };
  HWY_INLINE Row Load(std::int64_t i) const {
    const Tag t;
    const auto lanes = hn::Lanes(t);
    const double* p = panel_ + i * width_;
    return {hn::LoadU(t, p), hn::LoadU(t, p + lanes), hn::LoadU(t, p + 2 * lanes),
            hn::LoadU(t, p + 3 * lanes)};
  }
  HWY_INLINE void Store(const Row& r, std::int64_t i) const {
    const Tag t;
    const auto lanes = hn::Lanes(t);
    double* p = panel_ + i * width_;
    hn::StoreU(r.a, t, p);
    hn::StoreU(r.b, t, p + lanes);
    hn::StoreU(r.c, t, p + 2 * lanes);
    hn::StoreU(r.d, t, p + 3 * lanes);
  }
  // x becomes s x + c y; returns c x - s y.
  static HWY_INLINE Row Turn(const double* rotation, Row& x, const Row& y) {
    const Tag t;
    const auto c = hn::Set(t, rotation[0]), s = hn::Set(t, rotation[1]);
    const Row out = {hn::NegMulAdd(s, y.a, hn::Mul(c, x.a)), hn::NegMulAdd(s, y.b, hn::Mul(c, x.b)),
                     hn::NegMulAdd(s, y.c, hn::Mul(c, x.c)),
                     hn::NegMulAdd(s, y.d, hn::Mul(c, x.d))};
    x = {hn::MulAdd(s, x.a, hn::Mul(c, y.a)), hn::MulAdd(s, x.b, hn::Mul(c, y.b)),
         hn::MulAdd(s, x.c, hn::Mul(c, y.c)), hn::MulAdd(s, x.d, hn::Mul(c, y.d))};
    return out;
  }

  // The next step, or the next two, the second one row behind the first. Returns what follows.
  const double* RotatePanel(const double* step) const {
    const auto low = static_cast<std::int64_t>(step[0]), high = static_cast<std::int64_t>(step[1]);
    const double* first = step + 2 - 2 * low;  // of row k: at 2 k
    const double* after = step + 2 + 2 * (high - low);
    Row x = Load(low);
    const bool two = after != at_ && static_cast<std::int64_t>(after[0]) >= low &&
                     static_cast<std::int64_t>(after[1]) <= high;
    const std::int64_t low2 = two ? static_cast<std::int64_t>(after[0]) : high;
    std::int64_t k = low;
    for (; k < low2; ++k) Store(Turn(first + 2 * k, x, Load(k + 1)), k);
    if (!two) {
      Store(x, high);
      return after;
    }
    const auto high2 = static_cast<std::int64_t>(after[1]);
    const double* second = after + 2 - 2 * low2;
    Row behind = Turn(first + 2 * k, x, Load(k + 1));
    for (++k; k < std::min(high, high2 + 1); ++k) {
      const Row row = Turn(first + 2 * k, x, Load(k + 1));
      Store(Turn(second + 2 * (k - 1), behind, row), k - 1);
    }
    if (high2 == high) {
      Store(Turn(second + 2 * (high - 1), behind, x), high - 1);
      Store(behind, high);
    } else {
      Store(behind, high2);
      for (; k < high; ++k) Store(Turn(first + 2 * k, x, Load(k + 1)), k);
      Store(x, high);
    }
    return after + 2 + 2 * (high2 - low2);
  }

  double* z_;
  std::int64_t n_, width_;
  double *panel_, *begin_, *at_, *end_;
  bool at_once_;
};

// One implicit QR step on the rows [low, high] of the tridiagonal matrix.
void QrStep(double* d, double* e, std::int64_t low, std::int64_t high, Rotations& rotations) {
  const double half = 0.5 * (d[high - 1] - d[high]), beside = e[high - 1];
  const double shift =
      d[high] - beside * (beside / (half + std::copysign(std::hypot(half, beside), half)));
  double x = d[low] - shift, bulge = e[low];
  rotations.Begin(low, high);
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
    rotations.Add(k, c, s);
  }
}

// False where it does not converge, which no finite matrix is known to do. room: n n doubles.
bool Diagonalise(double* d, double* e, std::int64_t n, double* z, double* room) {
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  Rotations rotations(z, n, room);
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
    QrStep(d, e, low, high, rotations);
  }
  rotations.Flush();
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
    CollectReflections(work, n, tau, z, w);
    good = Diagonalise(d, e, n, z, work);  // which has become room
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

void EigenFor(const SymmetricEigen& call, double* scratch) {
  call.dtype == DType::float64 ? EigenOf<double>(call, scratch) : EigenOf<float>(call, scratch);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
HWY_EXPORT(EigenFor);

std::int64_t symmetric_eigen_scratch(std::int64_t n) { return 2 * n * n + 5 * n; }
void symmetric_eigen(const SymmetricEigen& call, double* scratch) {
  HWY_DYNAMIC_DISPATCH(EigenFor)(call, scratch);
}

}  // namespace descent::kernels
#endif
