// Problems 21 to 35 of More, Garbow & Hillstrom 1981: those of any size.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/mgh.h"
#include "descent/optim/test_functions.h"

namespace descent::optim {
namespace {

using Start = std::function<std::vector<double>(std::int64_t n)>;

Value table(std::int64_t m, const std::function<double(double i)>& f) {
  std::vector<double> values;
  for (std::int64_t i = 1; i <= m; ++i) values.push_back(f(static_cast<double>(i)));
  return constant(Array::from(values, {m}));
}
Value matrix(std::int64_t rows, std::int64_t columns,
             const std::function<double(double i, double j)>& f) {
  std::vector<double> values;
  for (std::int64_t i = 1; i <= rows; ++i) {
    for (std::int64_t j = 1; j <= columns; ++j)
      values.push_back(f(static_cast<double>(i), static_cast<double>(j)));
  }
  return constant(Array::from(values, {rows, columns}));
}
Value times(const Value& m, const Value& x) {
  return reshape(matmul(m, reshape(x, {x.shape()[0], 1})), {m.shape()[0]});
}
Start each(const std::function<double(double j, double n)>& f) {
  return [f](std::int64_t n) {
    std::vector<double> x;
    for (std::int64_t j = 1; j <= n; ++j)
      x.push_back(f(static_cast<double>(j), static_cast<double>(n)));
    return x;
  };
}
Start repeated(std::vector<double> pattern) {
  return [pattern = std::move(pattern)](std::int64_t n) {
    std::vector<double> x;
    for (std::int64_t j = 0; j < n; ++j)
      x.push_back(pattern[static_cast<std::size_t>(j) % pattern.size()]);
    return x;
  };
}
std::int64_t extent(const Value& v) { return v.shape()[0]; }
Value one(const Value& scalar) { return reshape(scalar, {1}); }
Value strided(const Value& v, std::int64_t from, std::int64_t step) {
  return slice(v, 0, from, extent(v), step);
}
Value shifted(const Value& v, std::int64_t by) {  // v_(i-by), 0 outside
  const auto n = extent(v);
  return by > 0 ? pad(slice(v, 0, 0, n - by), 0, by, 0) : pad(slice(v, 0, -by, n), 0, 0, -by);
}
Value cube(const Value& x) { return x * square(x); }

Value extended_powell(const Value& v) {
  const auto a = strided(v, 0, 4), b = strided(v, 1, 4), c = strided(v, 2, 4), d = strided(v, 3, 4);
  return concat({a + 10.0 * b, std::sqrt(5.0) * (c - d), square(b - 2.0 * c),
                 std::sqrt(10.0) * square(a - d)});
}

Value penalty2(const Value& v) {
  const auto n = extent(v);
  const double a = std::sqrt(1e-5);
  const auto y = table(n - 1, [](double i) { return std::exp((i + 1) / 10) + std::exp(i / 10); });
  const auto e = exp(v * 0.1);
  const auto later = slice(e, 0, 1, n);
  const auto weights = table(n, [n](double j) { return static_cast<double>(n) - j + 1; });
  return concat({one(v[0] - 0.2), a * (later + slice(e, 0, 0, n - 1) - y),
                 a * (later - std::exp(-0.1)), one(sum(weights * square(v)) - 1.0)});
}

Value variably_dimensioned(const Value& v) {
  const auto s = sum(table(extent(v), [](double j) { return j; }) * (v - 1.0));
  return concat({v - 1.0, stack({s, square(s)})});
}

Value trigonometric(const Value& v) {
  const auto n = extent(v);
  const auto i = table(n, [](double k) { return k; });
  return static_cast<double>(n) - sum(cos(v)) + i * (1.0 - cos(v)) - sin(v);
}

Value brown_almost_linear(const Value& v) {
  const auto n = extent(v);
  Value product = v[0];
  for (std::int64_t j = 1; j < n; ++j) product = product * v[j];
  return concat(
      {slice(v, 0, 0, n - 1) + sum(v) - (static_cast<double>(n) + 1), one(product - 1.0)});
}

Value discrete_boundary(const Value& v) {
  const auto n = extent(v);
  const double h = 1 / (static_cast<double>(n) + 1);
  const auto t = table(n, [h](double i) { return i * h; });
  return 2.0 * v - shifted(v, 1) - shifted(v, -1) + 0.5 * h * h * cube(v + t + 1.0);
}

Value discrete_integral(const Value& v) {
  const auto n = extent(v);
  const double h = 1 / (static_cast<double>(n) + 1);
  const auto t = table(n, [h](double i) { return i * h; });
  const auto kernel = matrix(n, n, [h](double i, double j) {
    return 0.5 * h * (j <= i ? (1 - i * h) * (j * h) : (i * h) * (1 - j * h));
  });
  return v + times(kernel, cube(v + t + 1.0));
}

Value broyden_banded(const Value& v) {
  const auto band = matrix(extent(v), extent(v), [](double i, double j) {
    return j != i && j >= i - 5 && j <= i + 1 ? 1 : 0;
  });
  return v * (2.0 + 5.0 * square(v)) + 1.0 - times(band, v * (1.0 + v));
}

Value linear_full_rank(const Value& v) {
  const auto n = extent(v), m = 2 * n;
  const auto s = sum(v) * (2 / static_cast<double>(m));
  return pad(v, 0, 0, m - n) - s - 1.0;
}

Value linear_rank1(const Value& v) {
  const auto s = sum(table(extent(v), [](double j) { return j; }) * v);
  return table(2 * extent(v), [](double i) { return i; }) * s - 1.0;
}

Value linear_rank1_zero(const Value& v) {
  const auto n = extent(v), m = 2 * n;
  const auto inner = [](std::int64_t k) {
    return [k](double j) { return j >= 2 && j <= static_cast<double>(k) - 1 ? j : 0; };
  };
  const auto s = sum(table(n, inner(n)) * v);
  const auto rows =
      table(m, [m](double i) { return i >= 2 && i <= static_cast<double>(m) - 1 ? i - 1 : 0; });
  return rows * s - 1.0;
}

Value chebyquad(const Value& v) {
  const auto n = extent(v);
  const auto y = 2.0 * v - 1.0;
  Value before = ones_like(y), now = y;
  Values rows;
  for (std::int64_t i = 1; i <= n; ++i) {
    const auto k = static_cast<double>(i);
    rows.push_back(i % 2 == 0 ? mean(now) + 1 / (k * k - 1) : mean(now));
    const auto next = 2.0 * y * now - before;
    before = now;
    now = next;
  }
  return stack(rows);
}

}  // namespace

const std::vector<MghProblem>& mgh_scaled() {
  const auto ones = [](double value) { return repeated({value}); };
  const Start boundary = each([](double j, double n) { return j / (n + 1) * (j / (n + 1) - 1); });
  const auto known = [](std::int64_t n, std::int64_t usual, double value) {
    return n == usual ? value : std::nan("");
  };
  static const std::vector<MghProblem> all = {
      {.name = "extended_rosenbrock",
       .formula = "10 (x_2i - x_(2i-1)^2), 1 - x_(2i-1)",
       .residuals =
           [](const Value& v) {
             const auto odd = strided(v, 0, 2);
             return concat({10.0 * (strided(v, 1, 2) - square(odd)), 1.0 - odd});
           },
       .size = 10,
       .least = 2,
       .multiple = 2,
       .start = repeated({-1.2, 1})},
      {.name = "extended_powell",
       .formula = "Powell's singular function of each four",
       .residuals = extended_powell,
       .size = 12,
       .least = 4,
       .multiple = 4,
       .start = repeated({3, -1, 0, 1})},
      {.name = "penalty1",
       .formula = "sqrt(1e-5) (x_i - 1), sum x^2 - 1/4",
       .residuals =
           [](const Value& v) {
             return concat({std::sqrt(1e-5) * (v - 1.0), one(sum(square(v)) - 0.25)});
           },
       .size = 10,
       .least = 1,
       .start = each([](double j, double) { return j; }),
       .minimum = 7.08765146709e-5,
       .minimum_of = [known](std::int64_t n) { return known(n, 4, 2.24997750092e-5); }},
      {.name = "penalty2",
       .formula = "x1 - 0.2, exponentials of neighbours, sum (n - j + 1) x_j^2 - 1",
       .residuals = penalty2,
       .size = 10,
       .least = 2,
       .start = ones(0.5),
       .minimum = 2.93660374567e-4,
       .minimum_of = [known](std::int64_t n) { return known(n, 4, 9.37629312475e-6); }},
      {.name = "variably_dimensioned",
       .formula = "x_i - 1, s, s^2, s = sum j (x_j - 1)",
       .residuals = variably_dimensioned,
       .size = 10,
       .least = 1,
       .start = each([](double j, double n) { return 1 - j / n; })},
      {.name = "trigonometric",
       .formula = "n - sum cos x_j + i (1 - cos x_i) - sin x_i",
       .residuals = trigonometric,
       .size = 10,
       .least = 1,
       .start = each([](double, double n) { return 1 / n; }),
       .others = {2.79506e-5}},
      {.name = "brown_almost_linear",
       .formula = "x_i + sum x_j - (n + 1), product x_j - 1",
       .residuals = brown_almost_linear,
       .size = 10,
       .least = 2,
       .start = ones(0.5),
       .others = {1}},
      {.name = "discrete_boundary",
       .formula = "2 x_i - x_(i-1) - x_(i+1) + h^2 (x_i + t_i + 1)^3 / 2",
       .residuals = discrete_boundary,
       .size = 10,
       .least = 2,
       .start = boundary},
      {.name = "discrete_integral",
       .formula = "x_i + h / 2 (a discretised integral of (x + t + 1)^3)",
       .residuals = discrete_integral,
       .size = 10,
       .least = 1,
       .start = boundary},
      {.name = "broyden_tridiagonal",
       .formula = "(3 - 2 x_i) x_i - x_(i-1) - 2 x_(i+1) + 1",
       .residuals =
           [](const Value& v) {
             return (3.0 - 2.0 * v) * v - shifted(v, 1) - 2.0 * shifted(v, -1) + 1.0;
           },
       .size = 10,
       .least = 2,
       .start = ones(-1)},
      {.name = "broyden_banded",
       .formula = "x_i (2 + 5 x_i^2) + 1 - sum over the band of x_j (1 + x_j)",
       .residuals = broyden_banded,
       .size = 10,
       .least = 1,
       .start = ones(-1)},
      {.name = "linear_full_rank",
       .formula = "x_i - 2/m sum x - 1; -2/m sum x - 1 for i > n; m = 2n",
       .residuals = linear_full_rank,
       .size = 10,
       .least = 1,
       .start = ones(1),
       .minimum = 10,
       .minimum_of = [](std::int64_t n) { return static_cast<double>(n); }},
      {.name = "linear_rank1",
       .formula = "i sum j x_j - 1, i = 1 ... m, m = 2n",
       .residuals = linear_rank1,
       .size = 10,
       .least = 1,
       .start = ones(1),
       .minimum = 20.0 * 19 / (2 * 41),
       .minimum_of =
           [](std::int64_t n) {
             const double m = 2 * static_cast<double>(n);
             return m * (m - 1) / (2 * (2 * m + 1));
           }},
      {.name = "linear_rank1_zero",
       .formula = "(i - 1) sum over 2 ... n-1 of j x_j - 1; -1 at both ends; m = 2n",
       .residuals = linear_rank1_zero,
       .size = 10,
       .least = 3,
       .start = ones(1),
       .minimum = (400.0 + 60 - 6) / (2 * 37),
       .minimum_of =
           [](std::int64_t n) {
             const double m = 2 * static_cast<double>(n);
             return (m * m + 3 * m - 6) / (2 * (2 * m - 3));
           }},
      {.name = "chebyquad",
       .formula = "mean over j of T_i(x_j) - integral of T_i, shifted Chebyshev polynomials",
       .residuals = chebyquad,
       .size = 9,
       .least = 1,
       .start = each([](double j, double n) { return j / (n + 1); }),
       .minimum_of =
           [](std::int64_t n) {
             return n <= 7 || n == 9 ? 0
                    : n == 8         ? 3.51687372568e-3
                    : n == 10        ? 6.50395480e-3
                                     : std::nan("");
           }},
  };
  return all;
}

namespace {

const MghProblem& row(int number) {
  return number <= 20 ? mgh_small().at(static_cast<std::size_t>(number - 1))
                      : mgh_scaled().at(static_cast<std::size_t>(number - 21));
}

}  // namespace

std::string mgh_name(int number) { return fmt::format("mgh{:02}_{}", number, row(number).name); }

int mgh_number(const std::string& name) {
  for (int i = 1; i <= 35; ++i) {
    if (name == mgh_name(i) || name == fmt::format("mgh{:02}", i)) return i;
  }
  return 0;
}

TestFunction mgh_problem(int number, std::int64_t size) {
  if (number < 1 || number > 35) {
    throw Error(ErrorKind::usage, fmt::format("there is no MGH problem {}", number), "",
                "they have the numbers 1 to 35");
  }
  const auto& p = row(number);
  const auto n = size == 0 ? p.size : size;
  if (n != p.size && (p.least == 0 || n < p.least || n % p.multiple != 0)) {
    throw Error(ErrorKind::usage,
                p.least == 0 ? fmt::format("{} is a function of {} variables, not {}",
                                           mgh_name(number), p.size, n)
                             : fmt::format("{} needs at least {} variables and a multiple of {}, "
                                           "not {}",
                                           mgh_name(number), p.least, p.multiple, n));
  }
  TestFunction t{.name = mgh_name(number), .formula = p.formula};
  t.objective.size = n;
  t.objective.residuals = [f = p.residuals](ValueSpan x) { return Values{f(x[0])}; };
  t.objective.value = [f = p.residuals](ValueSpan x) { return sum(square(f(x[0]))); };
  t.start = p.start(n);
  t.minimum = n == p.size || (!p.minimum_of && p.minimum == 0) ? p.minimum
              : p.minimum_of                                   ? p.minimum_of(n)
                                                               : std::nan("");
  t.others = p.others;
  return t;
}

}  // namespace descent::optim
