#include "descent/optim/fit_statistics.h"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "descent/base/error.h"
#include "descent/optim/least_squares.h"

namespace descent::optim {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Below this part of the largest singular value, with columns of length 1, a direction is taken to
// have none: rounding in J makes about 1e-16 of it; the least of NIST's sets is 2e-5 (Bennett5).
constexpr double kNone = 1e-13;

// Variables that share a direction without effect. projector: onto those directions. A part of
// less than 1e-4 (an angle of less than 1/100) is taken for rounding in the directions.
std::vector<std::vector<std::int64_t>> groups_of(const Matrix& projector,
                                                 const std::vector<std::int64_t>& variables) {
  constexpr double kPart = 1e-4;
  const auto n = variables.size();
  std::vector<std::size_t> group(n);
  std::iota(group.begin(), group.end(), std::size_t{0});
  const auto at = [&](std::size_t i, std::size_t k) {
    return std::abs(projector(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k)));
  };
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = i + 1; k < n; ++k) {
      if (at(i, k) <= kPart || group[i] == group[k]) continue;
      const auto from = group[k], to = group[i];
      std::ranges::replace(group, from, to);
    }
  }
  std::vector<std::vector<std::int64_t>> found;
  for (std::size_t first = 0; first < n; ++first) {
    std::vector<std::int64_t> members;
    for (std::size_t i = 0; i < n; ++i) {
      if (group[i] == first && at(i, i) > kPart) members.push_back(variables[i]);
    }
    if (!members.empty()) found.push_back(std::move(members));
  }
  return found;
}

// The columns that were estimated, scaled to length 1 (a column of zeros stays).
struct Estimated {
  std::vector<std::int64_t> variables;
  Vector scale;
  Matrix j;
};

Estimated estimated(const Objective& o, const std::vector<double>& x, const Matrix& j,
                    std::vector<std::int64_t>& at_bound) {
  Estimated e;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool held =
        (!o.lower.empty() && x[i] <= o.lower[i]) || (!o.upper.empty() && x[i] >= o.upper[i]);
    (held ? at_bound : e.variables).push_back(static_cast<std::int64_t>(i));
  }
  const auto count = std::ssize(e.variables);
  e.scale.resize(count);
  e.j.resize(j.rows(), count);
  for (Eigen::Index k = 0; k < count; ++k) {
    const Vector column = j.col(e.variables[static_cast<std::size_t>(k)]);
    const double norm = column.norm();
    e.scale[k] = norm > 0 ? norm : 1;
    e.j.col(k) = column / e.scale[k];
  }
  return e;
}

// Rank, covariance and what is not determined, from the singular values of J.
void estimate(const Estimated& e, FitStatistics& s) {
  const auto count = e.j.cols();
  if (count == 0) return;
  const Eigen::JacobiSVD<Matrix> svd(e.j, Eigen::ComputeFullV);
  const Vector& singular = svd.singularValues();
  Eigen::Index rank = 0;
  while (rank < singular.size() && singular[rank] > kNone * singular[0]) ++rank;
  s.degrees_of_freedom -= rank;
  const Matrix none = svd.matrixV().rightCols(count - rank);
  s.undetermined = groups_of(none * none.transpose(), e.variables);
  std::vector<bool> known(s.standard_errors.size(), true);
  for (const auto& group : s.undetermined) {
    for (const auto i : group) known[static_cast<std::size_t>(i)] = false;
  }
  if (s.degrees_of_freedom < 1) return;
  const double variance = s.residual_sum_of_squares / static_cast<double>(s.degrees_of_freedom);
  const Matrix root =
      svd.matrixV().leftCols(rank) * singular.head(rank).cwiseInverse().asDiagonal();
  for (Eigen::Index a = 0; a < count; ++a) {
    const auto i = static_cast<std::size_t>(e.variables[static_cast<std::size_t>(a)]);
    for (Eigen::Index b = 0; b < count; ++b) {
      const auto k = static_cast<std::size_t>(e.variables[static_cast<std::size_t>(b)]);
      if (!known[i] || !known[k]) continue;
      s.covariance[i][k] = variance * (root.row(a).dot(root.row(b)) / e.scale[a] / e.scale[b]);
    }
    s.standard_errors[i] = std::sqrt(s.covariance[i][i]);
  }
}

}  // namespace

FitStatistics fit_statistics(const Objective& objective, const std::vector<double>& x) {
  LeastSquares f(objective);
  Vector r;
  Matrix j;
  f.residuals_and_jacobian(Vector::Map(x.data(), std::ssize(x)), r, j);
  if (!r.allFinite() || !j.allFinite()) {
    throw Error(ErrorKind::usage, "the residuals or their derivatives are not finite",
                "fit statistics");
  }
  FitStatistics s;
  s.residual_sum_of_squares = r.squaredNorm();
  s.degrees_of_freedom = r.size();
  s.covariance.assign(x.size(), std::vector<double>(x.size(), kNaN));
  s.standard_errors.assign(x.size(), kNaN);
  estimate(estimated(objective, x, j, s.at_bound), s);
  s.residual_standard_deviation =
      s.degrees_of_freedom > 0
          ? std::sqrt(s.residual_sum_of_squares / static_cast<double>(s.degrees_of_freedom))
          : kNaN;
  return s;
}

namespace {

// The regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22, in
// the form of Lentz), which converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto safe = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / safe(1 - (a + b) * x / (a + 1)), h = d;
  for (int i = 1; i <= 20'000; ++i) {
    const double m = i;
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      h *= d * c;
    }
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return h;
}

// Probability that |t| is exceeded.
double t_tails(double t, double degrees) {
  const double a = degrees / 2, b = 0.5, x = degrees / (degrees + t * t), y = 1 - x;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log(t * t / (degrees + t * t)));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, y) / b;
}

}  // namespace

double student_t(double level, double degrees) {
  if (!(level > 0 && level < 1) || !(degrees >= 1)) {
    throw Error(ErrorKind::usage, "the level must lie between 0 and 1, with a degree of freedom",
                "student_t");
  }
  double low = 0, high = 1;
  while (t_tails(high, degrees) > 1 - level) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 200 && high - low > 4e-16 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (t_tails(middle, degrees) > 1 - level ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace descent::optim
