#include "descent/optim/test_functions.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <numbers>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/mgh.h"

namespace descent::optim {
namespace {

constexpr double kPi = std::numbers::pi;

struct Row {
  std::string formula;
  std::function<Value(const Value& x)> f;
  std::int64_t least = 2, most = 2, usual = 2;  // sizes
  std::vector<double> start;                    // repeated to the size
  double minimum = 0;
  bool per_variable = false;   // the minimum is that of one variable, times the size
  std::vector<double> at;      // repeated to the size; empty: not unique
  std::vector<double> window;  // of two variables
};

Value head(const Value& x) { return slice(x, 0, 0, x.shape()[0] - 1); }
Value tail(const Value& x) { return slice(x, 0, 1, x.shape()[0]); }
Value count(const Value& x) { return cast(iota(x.shape()[0]), DType::float64) + 1.0; }
Value powi(const Value& x, int n) {
  Value y = x;
  for (int i = 1; i < n; ++i) y = y * x;
  return y;
}

Value rosenbrock(const Value& v) {
  if (v.shape()[0] == 2) return 100.0 * square(v[1] - square(v[0])) + square(1.0 - v[0]);
  return sum(100.0 * square(tail(v) - square(head(v))) + square(1.0 - head(v)));
}

Value ackley(const Value& v) {
  return -20.0 * exp(-0.2 * sqrt(mean(square(v)))) - exp(mean(cos(2 * kPi * v))) +
         (20.0 + std::numbers::e);
}

Value goldstein_price(const Value& v) {
  const auto x = v[0], y = v[1];
  const auto a = 19.0 - 14.0 * x + 3.0 * square(x) - 14.0 * y + 6.0 * x * y + 3.0 * square(y);
  const auto b = 18.0 - 32.0 * x + 12.0 * square(x) + 48.0 * y - 36.0 * x * y + 27.0 * square(y);
  return (1.0 + square(x + y + 1.0) * a) * (30.0 + square(2.0 * x - 3.0 * y) * b);
}

Value levy(const Value& v) {
  const auto w = 1.0 + (v - 1.0) * 0.25;
  const auto n = v.shape()[0];
  const auto first = square(sin(kPi * w[0]));
  const auto last = square(w[n - 1] - 1.0) * (1.0 + square(sin(2 * kPi * w[n - 1])));
  if (n == 1) return first + last;
  return first + last +
         sum(square(head(w) - 1.0) * (1.0 + 10.0 * square(sin(kPi * head(w) + 1.0))));
}

Value beale(const Value& v) {
  const auto x = v[0], y = v[1];
  return square(1.5 - x + x * y) + square(2.25 - x + x * square(y)) +
         square(2.625 - x + x * powi(y, 3));
}

Value easom(const Value& v) {
  return -(cos(v[0]) * cos(v[1]) * exp(-(square(v[0] - kPi) + square(v[1] - kPi))));
}

Value six_hump_camel(const Value& v) {
  const auto x = v[0], y = v[1];
  return (4.0 - 2.1 * square(x) + powi(x, 4) / 3.0) * square(x) + x * y +
         (-4.0 + 4.0 * square(y)) * square(y);
}

Value branin(const Value& v) {
  const auto x = v[0], y = v[1];
  const auto a = y - 5.1 / (4 * kPi * kPi) * square(x) + 5 / kPi * x - 6.0;
  return square(a) + 10 * (1 - 1 / (8 * kPi)) * cos(x) + 10.0;
}

const std::map<std::string, Row>& rows() {
  constexpr auto kMany = std::numeric_limits<std::int64_t>::max();
  static const std::map<std::string, Row> all = {
      {"ackley",
       {"-20 exp(-0.2 sqrt(mean(x^2))) - exp(mean(cos(2 pi x))) + 20 + e",
        ackley,
        1,
        kMany,
        2,
        {0.4, 0.3},
        0,
        false,
        {0},
        {-4, 4, -4, 4}}},
      {"beale",
       {"(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
        beale,
        2,
        2,
        2,
        {1, 1},
        0,
        false,
        {3, 0.5},
        {-0.5, 4, -1.5, 1.5}}},
      {"booth",
       {"(x + 2y - 7)^2 + (2x + y - 5)^2",
        [](const Value& v) {
          return square(v[0] + 2.0 * v[1] - 7.0) + square(2.0 * v[0] + v[1] - 5.0);
        },
        2,
        2,
        2,
        {0, 0},
        0,
        false,
        {1, 3},
        {-4, 6, -2, 8}}},
      {"branin",
       {"(y - 5.1/(4 pi^2) x^2 + 5/pi x - 6)^2 + 10 (1 - 1/(8 pi)) cos x + 10",
        branin,
        2,
        2,
        2,
        {2, 2},
        0.39788735772973816,
        false,
        {},
        {-5, 10, 0, 15}}},
      {"dixon_price",
       {"(x_1 - 1)^2 + sum i (2 x_i^2 - x_(i-1))^2",
        [](const Value& v) {
          return square(v[0] - 1.0) + sum(tail(count(v)) * square(2.0 * square(tail(v)) - head(v)));
        },
        2,
        kMany,
        10,
        {1},
        0,
        false,
        {},
        {-2, 2, -2, 2}}},
      {"easom",
       {"-cos x cos y exp(-(x - pi)^2 - (y - pi)^2)",
        easom,
        2,
        2,
        2,
        {2.5, 3.5},
        -1,
        false,
        {kPi},
        {0, 6, 0, 6}}},
      {"goldstein_price",
       {"(1 + (x + y + 1)^2 (19 - 14x + 3x^2 - 14y + 6xy + 3y^2)) (30 + (2x - 3y)^2 (18 - 32x + "
        "12x^2 + 48y - 36xy + 27y^2))",
        goldstein_price,
        2,
        2,
        2,
        {0.5, -0.5},
        3,
        false,
        {0, -1},
        {-2, 2, -2.5, 1.5}}},
      {"himmelblau",
       {"(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        [](const Value& v) {
          return square(square(v[0]) + v[1] - 11.0) + square(v[0] + square(v[1]) - 7.0);
        },
        2,
        2,
        2,
        {0, 0},
        0,
        false,
        {},
        {-5, 5, -5, 5}}},
      {"levy",
       {"sin^2(pi w_1) + sum (w_i - 1)^2 (1 + 10 sin^2(pi w_i + 1)) + (w_n - 1)^2 (1 + sin^2(2 pi "
        "w_n)), w = 1 + (x - 1) / 4",
        levy,
        1,
        kMany,
        2,
        {0.5},
        0,
        false,
        {1},
        {-5, 5, -5, 5}}},
      {"matyas",
       {"0.26 (x^2 + y^2) - 0.48 x y",
        [](const Value& v) { return 0.26 * (square(v[0]) + square(v[1])) - 0.48 * v[0] * v[1]; },
        2,
        2,
        2,
        {5, -3},
        0,
        false,
        {0},
        {-6, 6, -6, 6}}},
      {"powell_singular",
       {"sum (a + 10b)^2 + 5 (c - d)^2 + (b - 2c)^4 + 10 (a - d)^4 over groups of four",
        [](const Value& v) {
          const auto n = v.shape()[0];
          const auto a = slice(v, 0, 0, n, 4), b = slice(v, 0, 1, n, 4), c = slice(v, 0, 2, n, 4),
                     d = slice(v, 0, 3, n, 4);
          return sum(square(a + 10.0 * b) + 5.0 * square(c - d) + square(square(b - 2.0 * c)) +
                     10.0 * square(square(a - d)));
        },
        4,
        kMany,
        4,
        {3, -1, 0, 1},
        0,
        false,
        {0},
        {}}},
      {"quadratic",
       {"sum 10^(4 (i - 1) / (n - 1)) x_i^2 / 2: condition number 1e4",
        [](const Value& v) {
          const auto n = v.shape()[0];
          Array scale(DType::float64, {n});
          for (std::int64_t i = 0; i < n; ++i)
            scale.set_item(
                i, 0.5 * std::pow(10.0, 4.0 * static_cast<double>(i) / static_cast<double>(n - 1)));
          return sum(constant(scale) * square(v));
        },
        2,
        kMany,
        100,
        {1},
        0,
        false,
        {0},
        {-1.5, 1.5, -1.5, 1.5}}},
      {"rastrigin",
       {"sum x^2 - 10 cos(2 pi x) + 10",
        [](const Value& v) { return sum(square(v) - 10.0 * cos(2 * kPi * v) + 10.0); },
        1,
        kMany,
        2,
        {0.3, -0.2},
        0,
        false,
        {0},
        {-3, 3, -3, 3}}},
      {"rosenbrock",
       {"sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2",
        rosenbrock,
        2,
        kMany,
        2,
        {-1.2, 1},
        0,
        false,
        {1},
        {-2, 2, -1, 3}}},
      {"saddle",
       {"x^2 - y^2",
        [](const Value& v) { return square(v[0]) - square(v[1]); },
        2,
        2,
        2,
        {1, 0},
        -std::numeric_limits<double>::infinity(),
        false,
        {},
        {-2, 2, -2, 2}}},
      {"six_hump_camel",
       {"(4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (-4 + 4 y^2) y^2",
        six_hump_camel,
        2,
        2,
        2,
        {0.5, -0.5},
        -1.0316284534898774,
        false,
        {},
        {-2, 2, -1.2, 1.2}}},
      {"sphere",
       {"sum x^2",
        [](const Value& v) { return sum(square(v)); },
        1,
        kMany,
        2,
        {2, -1.5},
        0,
        false,
        {0},
        {-3, 3, -3, 3}}},
      {"styblinski_tang",
       {"sum (x^4 - 16 x^2 + 5 x) / 2",
        [](const Value& v) { return 0.5 * sum(square(square(v)) - 16.0 * square(v) + 5.0 * v); },
        1,
        kMany,
        2,
        {-2},
        -39.16616570377142,
        true,
        {-2.903534027771177},
        {-5, 5, -5, 5}}},
      {"three_hump_camel",
       {"2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2",
        [](const Value& v) {
          const auto x = v[0], y = v[1];
          return 2.0 * square(x) - 1.05 * powi(x, 4) + powi(x, 6) / 6.0 + x * y + square(y);
        },
        2,
        2,
        2,
        {0.5, 0.5},
        0,
        false,
        {0},
        {-2.5, 2.5, -2.5, 2.5}}},
      {"zakharov",
       {"sum x^2 + s^2 + s^4, s = sum i x_i / 2",
        [](const Value& v) {
          const auto s = sum(0.5 * count(v) * v);
          return sum(square(v)) + square(s) + square(square(s));
        },
        1,
        kMany,
        10,
        {0.5},
        0,
        false,
        {0},
        {-5, 5, -5, 5}}},
  };
  return all;
}

std::vector<double> repeated(const std::vector<double>& pattern, std::int64_t size) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < size && !pattern.empty(); ++i)
    all.push_back(pattern[static_cast<std::size_t>(i) % pattern.size()]);
  return all;
}

void require_size(const std::string& name, std::int64_t size, const Row& row) {
  const bool groups = name == "powell_singular";
  if (size >= row.least && size <= row.most && (!groups || size % 4 == 0)) return;
  throw Error(ErrorKind::usage,
              row.least == row.most
                  ? fmt::format("{} is a function of {} variables, not {}", name, row.least, size)
                  : fmt::format("{} needs at least {} variables{}, not {}", name, row.least,
                                groups ? " and a multiple of 4" : "", size));
}

}  // namespace

TestFunction test_function(const std::string& name, std::int64_t size) {
  if (const int number = mgh_number(name); number > 0) return mgh_problem(number, size);
  const auto it = rows().find(name);
  if (it == rows().end()) {
    throw Error(ErrorKind::usage, fmt::format("no test function is called \"{}\"", name), "",
                did_you_mean(name, test_function_names()));
  }
  const auto& row = it->second;
  const auto n = size == 0 ? row.usual : size;
  require_size(name, n, row);
  TestFunction t{.name = name, .formula = row.formula};
  t.objective.size = n;
  t.objective.value = [f = row.f](ValueSpan x) { return f(x[0]); };
  t.start = repeated(row.start, n);
  t.minimum = row.per_variable ? row.minimum * static_cast<double>(n) : row.minimum;
  t.at = repeated(row.at, n);
  if (n == 2) t.window = row.window;
  return t;
}

std::vector<std::string> test_function_names() {
  std::vector<std::string> names;
  for (const auto& [name, row] : rows()) names.push_back(name);
  for (int i = 1; i <= 35; ++i) names.push_back(mgh_name(i));
  return names;
}

}  // namespace descent::optim
