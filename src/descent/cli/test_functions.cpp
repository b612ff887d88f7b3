#include "descent/cli/test_functions.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"

namespace descent::cli {
namespace {

// Sources: More, Garbow and Hillstrom 1981 (MGH, with its number), Jamil and Yang 2013, Surjanovic
// and Bingham's Virtual Library of Simulation Experiments.
constexpr TestFunction kFunctions[] = {
    {.name = "ackley",
     .formula = "20 + e - 20*exp(-0.2*sqrt(mean(x^2))) - exp(mean(cos(2*pi*x)))",
     .start = "1.6,0.8",
     .help = "many shallow minima around 0, where f = 0 (and a kink)",
     .size = 2,
     .window = {-3, 3, -3, 3}},
    {.name = "beale",
     .formula = "(1.5 - x*(1 - y))^2 + (2.25 - x*(1 - y^2))^2 + (2.625 - x*(1 - y^3))^2",
     .start = "x=1,y=1",
     .help = "MGH 5: f(3, 0.5) = 0",
     .window = {-1, 4.5, -2, 2}},
    {.name = "booth",
     .formula = "(x + 2*y - 7)^2 + (2*x + y - 5)^2",
     .start = "x=-5,y=-4",
     .help = "a quadratic: f(1, 3) = 0",
     .window = {-10, 10, -10, 10}},
    {.name = "camel3",
     .formula = "2*x^2 - 1.05*x^4 + x^6/6 + x*y + y^2",
     .start = "x=2,y=-1.5",
     .help = "three-hump camel: f(0, 0) = 0, two higher minima",
     .window = {-2.5, 2.5, -2, 2}},
    {.name = "camel6",
     .formula = "(4 - 2.1*x^2 + x^4/3)*x^2 + x*y + (4*y^2 - 4)*y^2",
     .start = "x=-1.5,y=0.5",
     .help = "six-hump camel: -1.03163 at (0.0898, -0.7126) and its mirror",
     .window = {-2, 2, -1.2, 1.2}},
    {.name = "dixon-price",
     .formula = "(x - 1)^2 + 2*(2*y^2 - x)^2",
     .start = "x=-4,y=-3",
     .help = "a valley along 2 y^2 = x: f(1, +-0.7071) = 0",
     .window = {-6, 6, -5, 5}},
    {.name = "easom",
     .formula = "-cos(x)*cos(y)*exp(-(x - pi)^2 - (y - pi)^2)",
     .start = "x=2.2,y=2.4",
     .help = "a narrow hole in a plain: f(pi, pi) = -1",
     .window = {0, 6, 0, 6}},
    {.name = "goldstein-price",
     .formula = "(1 + (x + y + 1)^2*(19 - 14*x + 3*x^2 - 14*y + 6*x*y + 3*y^2))"
                "*(30 + (2*x - 3*y)^2*(18 - 32*x + 12*x^2 + 48*y - 36*x*y + 27*y^2))",
     .start = "x=-0.4,y=-0.4",
     .help = "f(0, -1) = 3, four minima",
     .window = {-2, 2, -2, 2}},
    {.name = "griewank",
     .formula = "1 + sum(x^2)/4000 - prod(cos(x/sqrt({i})))",
     .start = "4,-3",
     .help = "waves on a wide bowl: f(0, 0) = 0",
     .size = 2,
     .window = {-8, 8, -8, 8}},
    {.name = "himmelblau",
     .formula = "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
     .start = "x=0,y=0",
     .help = "four minima where f = 0: (3, 2), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848)",
     .window = {-5.5, 5.5, -5.5, 5.5}},
    {.name = "levy13",
     .formula = "sin(3*pi*x)^2 + (x - 1)^2*(1 + sin(3*pi*y)^2) + (y - 1)^2*(1 + sin(2*pi*y)^2)",
     .start = "x=-1,y=2",
     .help = "Levy no. 13: f(1, 1) = 0 among many minima",
     .window = {-3, 4, -3, 4}},
    {.name = "matyas",
     .formula = "0.26*(x^2 + y^2) - 0.48*x*y",
     .start = "x=-6,y=8",
     .help = "a flat quadratic valley: f(0, 0) = 0",
     .window = {-10, 10, -10, 10}},
    {.name = "mccormick",
     .formula = "sin(x + y) + (x - y)^2 - 1.5*x + 2.5*y + 1",
     .start = "x=2,y=2",
     .help = "-1.91322 at (-0.5472, -1.5472)",
     .window = {-1.5, 4, -3, 4}},
    {.name = "monkey-saddle",
     .formula = "x^3 - 3*x*y^2",
     .start = "x=0.5,y=0.5",
     .help = "no minimum: three valleys leave (0, 0)",
     .window = {-2, 2, -2, 2}},
    {.name = "quadratic",
     .formula = "0.5*sum(linspace(1, 50, {n})*x^2)",
     .start = "50,1",
     .help = "condition number 50: f(0) = 0",
     .size = 2},
    {.name = "rastrigin",
     .formula = "sum(10 + x^2 - 10*cos(2*pi*x))",
     .start = "1.3,-0.7",
     .help = "a minimum near every whole number; f(0) = 0",
     .size = 2,
     .window = {-2.5, 2.5, -2.5, 2.5}},
    {.name = "rosenbrock",
     .formula = "sum(100*(x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)",
     .start = "-1.2,1",
     .help = "MGH 1, chained for more variables: a curved valley to f(1, ...) = 0",
     .size = 2,
     .window = {-2, 2, -1, 3}},
    {.name = "saddle",
     .formula = "x^2 - y^2 + y^4/4",
     .start = "x=1,y=0.001",
     .help = "a saddle at (0, 0) between the minima (0, +-sqrt 2), where f = -1",
     .window = {-2, 2, -2.5, 2.5}},
    {.name = "sphere",
     .formula = "sum(x^2)",
     .start = "3,-2",
     .help = "the simplest: f(0) = 0",
     .size = 2},
    {.name = "styblinski-tang",
     .formula = "0.5*sum(x^4 - 16*x^2 + 5*x)",
     .start = "-0.5,0.4",
     .help = "-39.16617 a variable at x = -2.903534, and higher minima",
     .size = 2,
     .window = {-5, 5, -5, 5}},
    {.name = "zakharov",
     .formula = "x^2 + y^2 + (0.5*x + y)^2 + (0.5*x + y)^4",
     .start = "x=-4,y=6",
     .help = "a plate-shaped valley: f(0, 0) = 0",
     .window = {-8, 8, -8, 8}},
};

}  // namespace

std::vector<TestFunction> test_functions() {
  std::vector<TestFunction> all(std::begin(kFunctions), std::end(kFunctions));
  const auto more = more_garbow_hillstrom();
  all.insert(all.end(), more.begin(), more.end());
  std::ranges::sort(all, {}, &TestFunction::name);
  return all;
}

std::optional<TestFunction> find_test_function(std::string_view name) {
  for (const auto& function : test_functions()) {
    if (function.name == name) return function;
  }
  return std::nullopt;
}

namespace {

std::int64_t size_of(const TestFunction& f, std::int64_t asked) {
  if (asked == 0 || asked == f.size) return f.size;
  if (f.size == 0 || f.fixed)
    throw Error(ErrorKind::usage, fmt::format("{} has a fixed number of variables", f.name),
                "--size");
  constexpr std::int64_t kMost = 1'000'000;
  if (asked < 2 || asked > kMost || asked % f.multiple != 0)
    throw Error(ErrorKind::usage, fmt::format("{} of {} variables is not possible", f.name, asked),
                "--size",
                f.multiple > 1 ? fmt::format("a multiple of {}", f.multiple)
                               : fmt::format("from 2 to {}", kMost));
  return asked;
}

std::string filled_in(std::string_view text, std::int64_t n) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    if (rest.starts_with("{n}")) {
      out += std::to_string(n);
      at += 3;
    } else if (rest.starts_with("{i}")) {
      out += fmt::format("(range({}) + 1)", n);
      at += 3;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace

std::string formula_of(const TestFunction& function, std::int64_t size) {
  return filled_in(function.formula, size_of(function, size));
}

std::string start_of(const TestFunction& function, std::int64_t size) {
  const auto n = size_of(function, size);
  if (function.start.find('=') != std::string_view::npos) return filled_in(function.start, n);
  std::vector<std::string> pattern;
  for (std::size_t at = 0; at <= function.start.size();) {
    const auto comma = std::min(function.start.find(',', at), function.start.size());
    pattern.emplace_back(function.start.substr(at, comma - at));
    at = comma + 1;
  }
  std::string text = "x=[";
  for (std::int64_t i = 0; i < n; ++i) {
    if (i > 0) text += ",";
    text += pattern[static_cast<std::size_t>(i) % pattern.size()];
  }
  return text + "]";
}

}  // namespace descent::cli
