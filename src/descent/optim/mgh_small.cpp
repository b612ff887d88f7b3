// Problems 1 to 20 of More, Garbow & Hillstrom 1981.
#include <cmath>
#include <numbers>

#include "descent/ops/ops.h"
#include "descent/optim/mgh.h"

namespace descent::optim {
namespace {

Value column(const std::vector<double>& values) {
  return constant(Array::from(values, {static_cast<std::int64_t>(values.size())}));
}
// f(1), f(2), ... f(m)
Value table(int m, const std::function<double(double i)>& f) {
  std::vector<double> values;
  for (int i = 1; i <= m; ++i) values.push_back(f(i));
  return column(values);
}
std::function<std::vector<double>(std::int64_t)> start(std::vector<double> x) {
  return [x = std::move(x)](std::int64_t) { return x; };
}
Value cube(const Value& x) { return x * square(x); }

Value freudenstein_roth(const Value& v) {
  const auto x = v[0], y = v[1];
  return stack({x - 13.0 + ((5.0 - y) * y - 2.0) * y, x - 29.0 + ((y + 1.0) * y - 14.0) * y});
}

Value helical_valley(const Value& v) {
  const auto x = v[0], y = v[1], z = v[2];
  const auto angle = atan(y / x) * (0.5 / std::numbers::pi);
  const auto theta = where(less(x, zeros_like(x)), angle + 0.5, angle);
  return stack({10.0 * (z - 10.0 * theta), 10.0 * (sqrt(square(x) + square(y)) - 1.0), z});
}

Value bard(const Value& v) {
  const auto y = column(
      {0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39});
  const auto u = table(15, [](double i) { return i; });
  const auto w = table(15, [](double i) { return std::min(i, 16 - i); });
  return y - (v[0] + u / ((16.0 - u) * v[1] + w * v[2]));
}

Value gaussian(const Value& v) {
  const auto y = column({0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521,
                         0.2420, 0.1295, 0.0540, 0.0175, 0.0044, 0.0009});
  const auto t = table(15, [](double i) { return (8 - i) / 2; });
  return v[0] * exp(v[1] * square(t - v[2]) * -0.5) - y;
}

Value meyer(const Value& v) {
  const auto y = column({34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005,
                         5147, 4427, 3820, 3307, 2872});
  const auto t = table(16, [](double i) { return 45 + 5 * i; });
  return v[0] * exp(v[1] / (t + v[2])) - y;
}

// As in the authors' code: |y_i - x_2|; the article prints a product.
Value gulf(const Value& v) {
  const auto t = table(99, [](double i) { return i / 100; });
  const auto y =
      table(99, [](double i) { return 25 + std::pow(-50 * std::log(i / 100), 2.0 / 3); });
  return exp(-(pow(abs(y - v[1]), v[2]) / v[0])) - t;
}

Value box(const Value& v) {
  const auto t = table(10, [](double i) { return 0.1 * i; });
  const auto z = table(10, [](double i) { return std::exp(-0.1 * i) - std::exp(-i); });
  return exp(-(t * v[0])) - exp(-(t * v[1])) - v[2] * z;
}

Value wood(const Value& v) {
  const auto a = v[0], b = v[1], c = v[2], d = v[3];
  return stack({10.0 * (b - square(a)), 1.0 - a, std::sqrt(90.0) * (d - square(c)), 1.0 - c,
                std::sqrt(10.0) * (b + d - 2.0), (b - d) * (1 / std::sqrt(10.0))});
}

Value kowalik_osborne(const Value& v) {
  const auto y = column(
      {0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246});
  const auto u = column({4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625});
  return y - v[0] * (square(u) + u * v[1]) / (square(u) + u * v[2] + v[3]);
}

Value brown_dennis(const Value& v) {
  const auto t = table(20, [](double i) { return i / 5; });
  const auto e = table(20, [](double i) { return std::exp(i / 5); });
  const auto s = table(20, [](double i) { return std::sin(i / 5); });
  const auto c = table(20, [](double i) { return std::cos(i / 5); });
  return square(v[0] + t * v[1] - e) + square(v[2] + s * v[3] - c);
}

Value osborne1(const Value& v) {
  const auto y =
      column({0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751,
              0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490,
              0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406});
  const auto t = table(33, [](double i) { return 10 * (i - 1); });
  return y - (v[0] + v[1] * exp(-(t * v[3])) + v[2] * exp(-(t * v[4])));
}

Value biggs(const Value& v) {
  const auto t = table(13, [](double i) { return 0.1 * i; });
  const auto y = table(13, [](double i) {
    const double s = 0.1 * i;
    return std::exp(-s) - 5 * std::exp(-10 * s) + 3 * std::exp(-4 * s);
  });
  return v[2] * exp(-(t * v[0])) - v[3] * exp(-(t * v[1])) + v[5] * exp(-(t * v[4])) - y;
}

Value osborne2(const Value& v) {
  const auto y = column(
      {1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
       0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
       0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
       0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
       0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054});
  const auto t = table(65, [](double i) { return (i - 1) / 10; });
  return y - (v[0] * exp(-(t * v[4])) + v[1] * exp(-(square(t - v[8]) * v[5])) +
              v[2] * exp(-(square(t - v[9]) * v[6])) + v[3] * exp(-(square(t - v[10]) * v[7])));
}

Value watson(const Value& v) {
  const auto n = v.shape()[0];
  Array slopes(DType::float64, {29, n}), values(DType::float64, {29, n});
  for (std::int64_t i = 0; i < 29; ++i) {
    const double t = static_cast<double>(i + 1) / 29;
    for (std::int64_t j = 0; j < n; ++j) {
      values.set_item(i * n + j, std::pow(t, static_cast<double>(j)));
      slopes.set_item(
          i * n + j, j == 0 ? 0 : static_cast<double>(j) * std::pow(t, static_cast<double>(j - 1)));
    }
  }
  const auto x = reshape(v, {n, 1});
  const auto first =
      reshape(matmul(constant(slopes), x) - square(matmul(constant(values), x)) - 1.0, {29});
  return concat({first, stack({v[0], v[1] - square(v[0]) - 1.0})});
}

}  // namespace

const std::vector<MghProblem>& mgh_small() {
  static const std::vector<MghProblem> all = {
      {.name = "rosenbrock",
       .formula = "10 (x2 - x1^2), 1 - x1",
       .residuals =
           [](const Value& v) {
             return stack({10.0 * (v[1] - square(v[0])), 1.0 - v[0]});
           },
       .start = start({-1.2, 1})},
      {.name = "freudenstein_roth",
       .formula = "x1 - 13 + ((5 - x2) x2 - 2) x2, x1 - 29 + ((x2 + 1) x2 - 14) x2",
       .residuals = freudenstein_roth,
       .start = start({0.5, -2}),
       .others = {48.98425367924}},
      {.name = "powell_badly_scaled",
       .formula = "1e4 x1 x2 - 1, exp(-x1) + exp(-x2) - 1.0001",
       .residuals =
           [](const Value& v) {
             return stack({1e4 * v[0] * v[1] - 1.0, exp(-v[0]) + exp(-v[1]) - 1.0001});
           },
       .start = start({0, 1})},
      {.name = "brown_badly_scaled",
       .formula = "x1 - 1e6, x2 - 2e-6, x1 x2 - 2",
       .residuals =
           [](const Value& v) {
             return stack({v[0] - 1e6, v[1] - 2e-6, v[0] * v[1] - 2.0});
           },
       .start = start({1, 1})},
      {.name = "beale",
       .formula = "y_i - x1 (1 - x2^i), y = 1.5, 2.25, 2.625",
       .residuals =
           [](const Value& v) {
             return stack({1.5 - v[0] * (1.0 - v[1]), 2.25 - v[0] * (1.0 - square(v[1])),
                           2.625 - v[0] * (1.0 - cube(v[1]))});
           },
       .start = start({1, 1})},
      {.name = "jennrich_sampson",
       .formula = "2 + 2i - exp(i x1) - exp(i x2), i = 1 ... 10",
       .residuals =
           [](const Value& v) {
             const auto i = table(10, [](double k) { return k; });
             return 2.0 + 2.0 * i - (exp(i * v[0]) + exp(i * v[1]));
           },
       .start = start({0.3, 0.4}),
       .minimum = 124.362182355},
      {.name = "helical_valley",
       .formula = "10 (x3 - 10 theta(x1, x2)), 10 (|(x1, x2)| - 1), x3",
       .residuals = helical_valley,
       .size = 3,
       .start = start({-1, 0, 0})},
      {.name = "bard",
       .formula = "y_i - (x1 + u_i / (v_i x2 + w_i x3)), i = 1 ... 15",
       .residuals = bard,
       .size = 3,
       .start = start({1, 1, 1}),
       .minimum = 8.21487730658e-3,
       .others = {17.4286933}},
      {.name = "gaussian",
       .formula = "x1 exp(-x2 (t_i - x3)^2 / 2) - y_i, i = 1 ... 15",
       .residuals = gaussian,
       .size = 3,
       .start = start({0.4, 1, 0}),
       .minimum = 1.12793276962e-8},
      {.name = "meyer",
       .formula = "x1 exp(x2 / (t_i + x3)) - y_i, i = 1 ... 16",
       .residuals = meyer,
       .size = 3,
       .start = start({0.02, 4000, 250}),
       .minimum = 87.9458551709},
      {.name = "gulf",
       .formula = "exp(-|y_i - x2|^x3 / x1) - t_i, i = 1 ... 99",
       .residuals = gulf,
       .size = 3,
       .start = start({5, 2.5, 0.15}),
       .others = {0.038}},
      {.name = "box",
       .formula = "exp(-t x1) - exp(-t x2) - x3 (exp(-t) - exp(-10 t)), t = 0.1 ... 1",
       .residuals = box,
       .size = 3,
       .start = start({0, 10, 20})},
      {.name = "powell_singular",
       .formula = "x1 + 10 x2, sqrt 5 (x3 - x4), (x2 - 2 x3)^2, sqrt 10 (x1 - x4)^2",
       .residuals =
           [](const Value& v) {
             return stack({v[0] + 10.0 * v[1], std::sqrt(5.0) * (v[2] - v[3]),
                           square(v[1] - 2.0 * v[2]), std::sqrt(10.0) * square(v[0] - v[3])});
           },
       .size = 4,
       .start = start({3, -1, 0, 1})},
      {.name = "wood",
       .formula = "10 (x2 - x1^2), 1 - x1, sqrt 90 (x4 - x3^2), 1 - x3, sqrt 10 (x2 + x4 - 2), "
                  "(x2 - x4) / sqrt 10",
       .residuals = wood,
       .size = 4,
       .start = start({-3, -1, -3, -1})},
      {.name = "kowalik_osborne",
       .formula = "y_i - x1 (u^2 + u x2) / (u^2 + u x3 + x4), i = 1 ... 11",
       .residuals = kowalik_osborne,
       .size = 4,
       .start = start({0.25, 0.39, 0.415, 0.39}),
       .minimum = 3.07505603849e-4,
       .others = {1.02734e-3}},
      {.name = "brown_dennis",
       .formula = "(x1 + t x2 - exp t)^2 + (x3 + x4 sin t - cos t)^2, t = i / 5, i = 1 ... 20",
       .residuals = brown_dennis,
       .size = 4,
       .start = start({25, 5, -5, -1}),
       .minimum = 85822.2016264},
      {.name = "osborne1",
       .formula = "y_i - (x1 + x2 exp(-t x4) + x3 exp(-t x5)), i = 1 ... 33",
       .residuals = osborne1,
       .size = 5,
       .start = start({0.5, 1.5, -1, 0.01, 0.02}),
       .minimum = 5.46489469748e-5},
      {.name = "biggs_exp6",
       .formula = "x3 exp(-t x1) - x4 exp(-t x2) + x6 exp(-t x5) - y_i, i = 1 ... 13",
       .residuals = biggs,
       .size = 6,
       .start = start({1, 2, 1, 1, 1, 1}),
       .others = {5.65565e-3, 0.3066667}},
      {.name = "osborne2",
       .formula = "y_i - (an exponential and three bells), i = 1 ... 65",
       .residuals = osborne2,
       .size = 11,
       .start = start({1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5}),
       .minimum = 4.01377362935e-2},
      {.name = "watson",
       .formula =
           "sum (j - 1) x_j t^(j-2) - (sum x_j t^(j-1))^2 - 1, t = i / 29; x1, x2 - x1^2 - 1",
       .residuals = watson,
       .size = 6,
       .least = 2,
       .start =
           [](std::int64_t n) { return std::vector<double>(static_cast<std::size_t>(n), 0.0); },
       .minimum = 2.28767005355e-3,
       .minimum_of =
           [](std::int64_t n) {
             return n == 9 ? 1.39976013e-6 : n == 12 ? 4.72238108e-10 : std::nan("");
           }},
  };
  return all;
}

}  // namespace descent::optim
