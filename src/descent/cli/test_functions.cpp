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
    {.name = "box",
     .formula = "sum((exp(-0.1*range(11)[1:]*x) - exp(-0.1*range(11)[1:]*y)"
                " - z*(exp(-0.1*range(11)[1:]) - exp(-range(11)[1:])))^2)",
     .start = "x=0,y=10,z=20",
     .help = "MGH 12, three-dimensional: f(1, 10, 1) = 0"},
    {.name = "brown-badly-scaled",
     .formula = "(x - 1e6)^2 + (y - 2e-6)^2 + (x*y - 2)^2",
     .start = "x=1,y=1",
     .help = "MGH 4: f(1e6, 2e-6) = 0"},
    {.name = "brown-dennis",
     .formula = "sum(((x1 + range(21)[1:]/5*x2 - exp(range(21)[1:]/5))^2"
                " + (x3 + x4*sin(range(21)[1:]/5) - cos(range(21)[1:]/5))^2)^2)",
     .start = "x1=25,x2=5,x3=-5,x4=-1",
     .help = "MGH 16: 85822.2 at its minimum"},
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
    {.name = "freudenstein-roth",
     .formula = "(-13 + x + ((5 - y)*y - 2)*y)^2 + (-29 + x + ((y + 1)*y - 14)*y)^2",
     .start = "x=0.5,y=-2",
     .help = "MGH 2: f(5, 4) = 0, and 48.9843 at (11.41, -0.8968)"},
    {.name = "goldstein-price",
     .formula = "(1 + (x + y + 1)^2*(19 - 14*x + 3*x^2 - 14*y + 6*x*y + 3*y^2))"
                "*(30 + (2*x - 3*y)^2*(18 - 32*x + 12*x^2 + 48*y - 36*x*y + 27*y^2))",
     .start = "x=-0.4,y=-0.4",
     .help = "f(0, -1) = 3, four minima",
     .window = {-2, 2, -2, 2}},
    {.name = "griewank",
     .formula = "1 + sum(x^2)/4000 - cos(x[0])*cos(x[1]/sqrt(2))",
     .start = "4,-3",
     .help = "waves on a wide bowl: f(0, 0) = 0",
     .size = 2,
     .window = {-8, 8, -8, 8}},
    {.name = "helical-valley",
     .formula = "100*((z - 10*(atan2(y, x)/(2*pi)))^2 + (sqrt(x^2 + y^2) - 1)^2) + z^2",
     .start = "x=-1,y=0,z=0",
     .help = "MGH 7: f(1, 0, 0) = 0"},
    {.name = "himmelblau",
     .formula = "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
     .start = "x=0,y=0",
     .help = "four minima where f = 0: (3, 2), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848)",
     .window = {-5.5, 5.5, -5.5, 5.5}},
    {.name = "jennrich-sampson",
     .formula = "sum((2 + 2*range(11)[1:] - exp(range(11)[1:]*x) - exp(range(11)[1:]*y))^2)",
     .start = "x=0.3,y=0.4",
     .help = "MGH 6: 124.362 at x = y = 0.2578"},
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
    {.name = "powell-badly-scaled",
     .formula = "(1e4*x*y - 1)^2 + (exp(-x) + exp(-y) - 1.0001)^2",
     .start = "x=0,y=1",
     .help = "MGH 3: f(1.098e-5, 9.106) = 0"},
    {.name = "powell-singular",
     .formula = "(x1 + 10*x2)^2 + 5*(x3 - x4)^2 + (x2 - 2*x3)^4 + 10*(x1 - x4)^4",
     .start = "x1=3,x2=-1,x3=0,x4=1",
     .help = "MGH 13: f(0) = 0 where the Hessian is singular"},
    {.name = "quadratic",
     .formula = "0.5*sum(linspace(1, 50, 2)*x^2)",
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
    {.name = "wood",
     .formula = "100*(x2 - x1^2)^2 + (1 - x1)^2 + 90*(x4 - x3^2)^2 + (1 - x3)^2"
                " + 10*(x2 + x4 - 2)^2 + 0.1*(x2 - x4)^2",
     .start = "x1=-3,x2=-1,x3=-3,x4=-1",
     .help = "MGH 14: f(1, 1, 1, 1) = 0"},
    {.name = "zakharov",
     .formula = "x^2 + y^2 + (0.5*x + y)^2 + (0.5*x + y)^4",
     .start = "x=-4,y=6",
     .help = "a plate-shaped valley: f(0, 0) = 0",
     .window = {-8, 8, -8, 8}},
};
static_assert(std::ranges::is_sorted(kFunctions, {}, &TestFunction::name));

}  // namespace

std::span<const TestFunction> test_functions() { return kFunctions; }

const TestFunction* find_test_function(std::string_view name) {
  const auto* it = std::ranges::find(kFunctions, name, &TestFunction::name);
  return it == std::end(kFunctions) ? nullptr : it;
}

std::string start_of(const TestFunction& function, std::int64_t size) {
  if (function.size == 0) {
    if (size == 0) return std::string(function.start);
    throw Error(ErrorKind::usage, fmt::format("{} has a fixed number of variables", function.name),
                "--size");
  }
  // Those that are written for two variables index them.
  const bool fixed = function.name == "griewank" || function.name == "quadratic";
  if (fixed && size != 0 && size != function.size)
    throw Error(ErrorKind::usage, fmt::format("{} has {} variables", function.name, function.size),
                "--size");
  const std::int64_t n = size == 0 ? function.size : size;
  constexpr std::int64_t kMost = 1'000'000;
  if (n < 1 || n > kMost || (function.name == "rosenbrock" && n < 2))
    throw Error(ErrorKind::usage, fmt::format("a size of {} is not possible", n), "--size");
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
