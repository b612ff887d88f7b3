// The named test functions, written once more as formulas: two ways to the same values and
// gradients, of functions that use most of what a formula can have.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "descent/optim/expression.h"
#include "descent/optim/test_functions.h"

namespace descent::optim {
namespace {

// {n} is the number of variables, {i} the vector 1, ..., n. A formula of x, y, z or x1, x2, ... has
// the elements by name, else x is the vector. Those of More, Garbow and Hillstrom 1981 have their
// numbers (33 to 35 have another number of equations or of variables in the library).
struct Row {
  const char* name;
  const char* formula;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr Row kRows[] = {
    {"ackley", "20 + e - 20*exp(-0.2*sqrt(mean(x^2))) - exp(mean(cos(2*pi*x)))"},
    {"beale", "(1.5 - x*(1 - y))^2 + (2.25 - x*(1 - y^2))^2 + (2.625 - x*(1 - y^3))^2"},
    {"booth", "(x + 2*y - 7)^2 + (2*x + y - 5)^2"},
    {"three_hump_camel", "2*x^2 - 1.05*x^4 + x^6/6 + x*y + y^2"},
    {"six_hump_camel", "(4 - 2.1*x^2 + x^4/3)*x^2 + x*y + (4*y^2 - 4)*y^2"},
    {"easom", "-cos(x)*cos(y)*exp(-(x - pi)^2 - (y - pi)^2)"},
    {"goldstein_price",
     "(1 + (x + y + 1)^2*(19 - 14*x + 3*x^2 - 14*y + 6*x*y + 3*y^2))*(30 + (2*x - "
     "3*y)^2*(18 - 32*x + 12*x^2 + 48*y - 36*x*y + 27*y^2))"},
    {"himmelblau", "(x^2 + y - 11)^2 + (x + y^2 - 7)^2"},
    {"matyas", "0.26*(x^2 + y^2) - 0.48*x*y"},
    {"rastrigin", "sum(10 + x^2 - 10*cos(2*pi*x))"},
    {"rosenbrock", "sum(100*(x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)"},
    {"sphere", "sum(x^2)"},
    {"styblinski_tang", "0.5*sum(x^4 - 16*x^2 + 5*x)"},
    {"mgh02", "(-13 + x + ((5 - y)*y - 2)*y)^2 + (-29 + x + ((y + 1)*y - 14)*y)^2"},
    {"mgh03", "(1e4*x*y - 1)^2 + (exp(-x) + exp(-y) - 1.0001)^2"},
    {"mgh04", "(x - 1e6)^2 + (y - 2e-6)^2 + (x*y - 2)^2"},
    {"mgh06", "sum((2 + 2*range(11)[1:] - exp(range(11)[1:]*x) - exp(range(11)[1:]*y))^2)"},
    {"mgh07",
     "100*((z - 10*(atan2(y, x)/(2*pi) + (x < 0)*(y < 0)))^2 + (sqrt(x^2 + y^2) - 1)^2) + "
     "z^2"},
    {"mgh08",
     "sum(([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, "
     "2.10, 4.39] - (x + range(16)[1:]/((16 - range(16)[1:])*y + min(range(16)[1:], 16 - "
     "range(16)[1:])*z)))^2)"},
    {"mgh09",
     "sum((x*exp(-y*((8 - range(16)[1:])/2 - z)^2/2) - [0.0009, 0.0044, 0.0175, 0.0540, "
     "0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540, 0.0175, 0.0044, "
     "0.0009])^2)"},
    {"mgh10",
     "sum((x*exp(y/(45 + 5*range(17)[1:] + z)) - [34780, 28610, 23650, 19630, 16370, "
     "13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872])^2)"},
    {"mgh11",
     "sum((exp(-abs(25 + (-50*log(range(100)[1:]/100))^(2/3) - y)^z/x) - "
     "range(100)[1:]/100)^2)"},
    {"mgh12",
     "sum((exp(-0.1*range(11)[1:]*x) - exp(-0.1*range(11)[1:]*y) - "
     "z*(exp(-0.1*range(11)[1:]) - exp(-range(11)[1:])))^2)"},
    {"mgh13",
     "sum((x[0::4] + 10*x[1::4])^2 + 5*(x[2::4] - x[3::4])^2 + (x[1::4] - 2*x[2::4])^4 + "
     "10*(x[0::4] - x[3::4])^4)"},
    {"mgh14",
     "100*(x2 - x1^2)^2 + (1 - x1)^2 + 90*(x4 - x3^2)^2 + (1 - x3)^2 + 10*(x2 + x4 - 2)^2 "
     "+ 0.1*(x2 - x4)^2"},
    {"mgh15",
     "sum(([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, "
     "0.0235, 0.0246] - x[0]*([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, "
     "0.0625]^2 + [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, "
     "0.0625]*x[1])/([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]^2 + "
     "[4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]*x[2] + x[3]))^2)"},
    {"mgh16",
     "sum(((x1 + range(21)[1:]/5*x2 - exp(range(21)[1:]/5))^2 + (x3 + "
     "x4*sin(range(21)[1:]/5) - cos(range(21)[1:]/5))^2)^2)"},
    {"mgh17",
     "sum(([0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, "
     "0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, "
     "0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406] - (x[0] + "
     "x[1]*exp(-10*range(33)*x[3]) + x[2]*exp(-10*range(33)*x[4])))^2)"},
    {"mgh18",
     "sum((x[2]*exp(-0.1*range(14)[1:]*x[0]) - x[3]*exp(-0.1*range(14)[1:]*x[1]) + "
     "x[5]*exp(-0.1*range(14)[1:]*x[4]) - exp(-0.1*range(14)[1:]) + 5*exp(-range(14)[1:]) "
     "- 3*exp(-0.4*range(14)[1:]))^2)"},
    {"mgh19",
     "sum(([1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, "
     "0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, "
     "0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, "
     "0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, "
     "0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, "
     "0.581, 0.428, 0.292, 0.162, 0.098, 0.054] - (x[0]*exp(-range(65)/10*x[4]) + "
     "x[1]*exp(-(range(65)/10 - x[8])^2*x[5]) + x[2]*exp(-(range(65)/10 - x[9])^2*x[6]) + "
     "x[3]*exp(-(range(65)/10 - x[10])^2*x[7])))^2)"},
    {"mgh20",
     "sum(((outer(range(30)[1:]/29, ones({n}))^outer(ones(29), "
     "range({n})))*(range({n}).*x)/(range(30)[1:]/29) - ((outer(range(30)[1:]/29, "
     "ones({n}))^outer(ones(29), range({n})))*x)^2 - 1)^2) + x[0]^2 + (x[1] - x[0]^2 - 1)^2"},
    {"mgh21", "sum(100*(x[1::2] - x[0::2]^2)^2 + (1 - x[0::2])^2)"},
    {"mgh23", "1e-5*sum((x - 1)^2) + (sum(x^2) - 0.25)^2"},
    {"mgh24",
     "(x[0] - 0.2)^2 + 1e-5*sum((exp(x[1:]/10) + exp(x[:-1]/10) - exp({i}[1:]/10) - "
     "exp({i}[:-1]/10))^2) + 1e-5*sum((exp(x[1:]/10) - exp(-0.1))^2) + (sum(({n} + 1 - "
     "{i})*x^2) - 1)^2"},
    {"mgh25", "sum((x - 1)^2) + sum({i}*(x - 1))^2 + sum({i}*(x - 1))^4"},
    {"mgh26", "sum(({n} - sum(cos(x)) + {i}*(1 - cos(x)) - sin(x))^2)"},
    {"mgh27", "sum((x[:-1] + sum(x) - {n} - 1)^2) + (prod(x) - 1)^2"},
    {"mgh28",
     "sum((2*x - concat(0, x[:-1]) - concat(x[1:], 0) + (x + {i}/({n} + 1) + 1)^3/(2*({n} "
     "+ 1)^2))^2)"},
    {"mgh29",
     "sum((x + ((1 - {i}/({n} + 1))*((outer({i}, ones({n})) >= outer(ones({n}), "
     "{i}))*({i}/({n} + 1)*(x + {i}/({n} + 1) + 1)^3)) + {i}/({n} + 1)*((outer({i}, "
     "ones({n})) < outer(ones({n}), {i}))*((1 - {i}/({n} + 1))*(x + {i}/({n} + 1) + "
     "1)^3)))/(2*({n} + 1)))^2)"},
    {"mgh30", "sum(((3 - 2*x)*x - concat(0, x[:-1]) - 2*concat(x[1:], 0) + 1)^2)"},
    {"mgh31",
     "sum((x*(2 + 5*x^2) + 1 - ((outer({i}, ones({n})) - outer(ones({n}), {i}) >= "
     "-1).*(outer({i}, ones({n})) - outer(ones({n}), {i}) <= 5).*(outer({i}, ones({n})) != "
     "outer(ones({n}), {i})))*(x*(1 + x)))^2)"},
    {"mgh32", "sum((x - sum(x)/{n} - 1)^2) + {n}*(sum(x)/{n} + 1)^2"},
    {"mgh22",
     "sum((x[0::4] + 10*x[1::4])^2 + 5*(x[2::4] - x[3::4])^2 + (x[1::4] - 2*x[2::4])^4 + "
     "10*(x[0::4] - x[3::4])^4)"},
    {"mgh05", "(1.5 - x*(1 - y))^2 + (2.25 - x*(1 - y^2))^2 + (2.625 - x*(1 - y^3))^2"},
    {"mgh01", "100*(y - x^2)^2 + (1 - x)^2"},
    {"dixon_price", "(x[0] - 1)^2 + sum({i}[1:]*(2*x[1:]^2 - x[:-1])^2)"},
    {"zakharov", "sum(x^2) + (sum({i}*x)/2)^2 + (sum({i}*x)/2)^4"},
    {"saddle", "x^2 - y^2"},
    {"quadratic", "sum(10^(4*({i} - 1)/({n} - 1))*x^2)/2"},
    {"branin", "(y - 5.1/(4*pi^2)*x^2 + 5/pi*x - 6)^2 + 10*(1 - 1/(8*pi))*cos(x) + 10"},
};

std::string filled_in(const std::string& text, std::int64_t n) {
  std::string out = text;
  const std::pair<std::string, std::string> marks[] = {
      {"{n}", std::to_string(n)}, {"{i}", "(range(" + std::to_string(n) + ") + 1)"}};
  for (const auto& [mark, with] : marks) {
    for (std::size_t at = 0; (at = out.find(mark, at)) != std::string::npos;)
      out.replace(at, mark.size(), with);
  }
  return out;
}

ScalarFn formula_function(const std::string& text, std::int64_t n) {
  const auto formula = Expression::parse(filled_in(text, n));
  auto names = formula.names();
  std::ranges::sort(names);
  const bool vector = names.size() == 1 && n > 1;
  return [=](ValueSpan in) {
    std::map<std::string, Value> bound;
    for (std::size_t k = 0; k < names.size(); ++k)
      bound[names[k]] = vector ? in[0] : in[0][static_cast<std::int64_t>(k)];
    return formula.build(bound);
  };
}

ScalarFn library_function(const Objective& objective) {
  if (objective.value) return objective.value;
  return [f = objective.residuals](ValueSpan in) { return sum(square(f(in)[0])); };
}

class NamedFunction : public ::testing::TestWithParam<Row> {};

TEST_P(NamedFunction, IsItsFormula) {
  const auto known = test_function(GetParam().name);
  const auto n = std::ssize(known.start);
  const auto ours = library_function(known.objective);
  const auto formula = formula_function(GetParam().formula, n);
  for (const double moved : {0.0, 0.03}) {
    Array x = Array::from(known.start, {n});
    for (std::int64_t i = 0; i < n; ++i)
      x.set_item(i, x.item(i) + moved * (1 + std::sin(static_cast<double>(i))));
    const auto a = evaluate(value_and_grad(ours), {x}), b = evaluate(value_and_grad(formula), {x});
    // Sums in another order, of terms that may cancel.
    EXPECT_NEAR(b[0].item(), a[0].item(), 1e-10 * (1e-3 + std::abs(a[0].item()))) << moved;
    double largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(a[1].item(i)));
    for (std::int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(b[1].item(i), a[1].item(i), 1e-9 * (1e-3 + largest)) << moved << ", " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, NamedFunction, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace descent::optim
