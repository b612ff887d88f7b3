// J. J. More, B. S. Garbow and K. E. Hillstrom, "Testing unconstrained optimization software", ACM
// TOMS 7 (1981): the 35 functions by their numbers, each the sum of its squares. 1 (Rosenbrock) and
// 5 (Beale) stand among the classics. Starts and minima are the paper's.
#include "descent/cli/test_functions.h"

namespace descent::cli {
namespace {

constexpr TestFunction kFunctions[] = {
    {.name = "freudenstein-roth",
     .formula = "(-13 + x + ((5 - y)*y - 2)*y)^2 + (-29 + x + ((y + 1)*y - 14)*y)^2",
     .start = "x=0.5,y=-2",
     .help = "MGH 2: f(5, 4) = 0, and 48.9843 at (11.41, -0.8968)"},
    {.name = "powell-badly-scaled",
     .formula = "(1e4*x*y - 1)^2 + (exp(-x) + exp(-y) - 1.0001)^2",
     .start = "x=0,y=1",
     .help = "MGH 3: f(1.098e-5, 9.106) = 0"},
    {.name = "brown-badly-scaled",
     .formula = "(x - 1e6)^2 + (y - 2e-6)^2 + (x*y - 2)^2",
     .start = "x=1,y=1",
     .help = "MGH 4: f(1e6, 2e-6) = 0"},
    {.name = "jennrich-sampson",
     .formula = "sum((2 + 2*range(11)[1:] - exp(range(11)[1:]*x) - exp(range(11)[1:]*y))^2)",
     .start = "x=0.3,y=0.4",
     .help = "MGH 6: 124.362 at x = y = 0.2578"},
    {.name = "helical-valley",
     // The paper's angle runs from -0.25 to 0.75 of a turn.
     .formula = "100*((z - 10*(atan2(y, x)/(2*pi) + (x < 0)*(y < 0)))^2"
                " + (sqrt(x^2 + y^2) - 1)^2) + z^2",
     .start = "x=-1,y=0,z=0",
     .help = "MGH 7: f(1, 0, 0) = 0"},
    {.name = "bard",
     .formula =
         "sum(([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34,"
         " 2.10, 4.39] - (x + range(16)[1:]/((16 - range(16)[1:])*y"
         " + min(range(16)[1:], 16 - range(16)[1:])*z)))^2)",
     .start = "x=1,y=1,z=1",
     .help = "MGH 8: 8.21487e-3"},
    {.name = "gaussian",
     .formula = "sum((x*exp(-y*((8 - range(16)[1:])/2 - z)^2/2) - [0.0009, 0.0044, 0.0175, 0.0540,"
                " 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540, 0.0175, 0.0044,"
                " 0.0009])^2)",
     .start = "x=0.4,y=1,z=0",
     .help = "MGH 9: 1.12793e-8"},
    {.name = "meyer",
     .formula = "sum((x*exp(y/(45 + 5*range(17)[1:] + z)) - [34780, 28610, 23650, 19630, 16370,"
                " 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872])^2)",
     .start = "x=0.02,y=4000,z=250",
     .help = "MGH 10, badly scaled: 87.9458"},
    {.name = "gulf",
     .formula = "sum((exp(-abs(25 + (-50*log(range(100)[1:]/100))^(2/3) - y)^z/x)"
                " - range(100)[1:]/100)^2)",
     .start = "x=5,y=2.5,z=0.15",
     .help = "MGH 11, research and development: f(50, 25, 1.5) = 0"},
    {.name = "box",
     .formula = "sum((exp(-0.1*range(11)[1:]*x) - exp(-0.1*range(11)[1:]*y)"
                " - z*(exp(-0.1*range(11)[1:]) - exp(-range(11)[1:])))^2)",
     .start = "x=0,y=10,z=20",
     .help = "MGH 12, three-dimensional: f(1, 10, 1) = 0"},
    {.name = "powell-singular",
     .formula = "sum((x[0::4] + 10*x[1::4])^2 + 5*(x[2::4] - x[3::4])^2 + (x[1::4] - 2*x[2::4])^4"
                " + 10*(x[0::4] - x[3::4])^4)",
     .start = "3,-1,0,1",
     .help = "MGH 13 and 22: f(0) = 0 where the Hessian is singular",
     .size = 4,
     .multiple = 4},
    {.name = "wood",
     .formula = "100*(x2 - x1^2)^2 + (1 - x1)^2 + 90*(x4 - x3^2)^2 + (1 - x3)^2"
                " + 10*(x2 + x4 - 2)^2 + 0.1*(x2 - x4)^2",
     .start = "x1=-3,x2=-1,x3=-3,x4=-1",
     .help = "MGH 14: f(1, 1, 1, 1) = 0"},
    {.name = "kowalik-osborne",
     .formula =
         "sum(([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235,"
         " 0.0246] - x[0]*([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]^2"
         " + [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]*x[1])"
         "/([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]^2"
         " + [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]*x[2]"
         " + x[3]))^2)",
     .start = "x=[0.25,0.39,0.415,0.39]",
     .help = "MGH 15: 3.07505e-4",
     .size = 4,
     .fixed = true},
    {.name = "brown-dennis",
     .formula = "sum(((x1 + range(21)[1:]/5*x2 - exp(range(21)[1:]/5))^2"
                " + (x3 + x4*sin(range(21)[1:]/5) - cos(range(21)[1:]/5))^2)^2)",
     .start = "x1=25,x2=5,x3=-5,x4=-1",
     .help = "MGH 16: 85822.2"},
    {.name = "osborne1",
     .formula =
         "sum(([0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751,"
         " 0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478,"
         " 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406] - (x[0]"
         " + x[1]*exp(-10*range(33)*x[3]) + x[2]*exp(-10*range(33)*x[4])))^2)",
     .start = "x=[0.5,1.5,-1,0.01,0.02]",
     .help = "MGH 17: 5.46489e-5",
     .size = 5,
     .fixed = true},
    {.name = "biggs-exp6",
     .formula = "sum((x[2]*exp(-0.1*range(14)[1:]*x[0]) - x[3]*exp(-0.1*range(14)[1:]*x[1])"
                " + x[5]*exp(-0.1*range(14)[1:]*x[4]) - exp(-0.1*range(14)[1:])"
                " + 5*exp(-range(14)[1:]) - 3*exp(-0.4*range(14)[1:]))^2)",
     .start = "x=[1,2,1,1,1,1]",
     .help = "MGH 18: 0, and 5.65565e-3 at another minimum",
     .size = 6,
     .fixed = true},
    {.name = "osborne2",
     .formula =
         "sum(([1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746,"
         " 0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694,"
         " 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372,"
         " 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633,"
         " 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636,"
         " 0.581, 0.428, 0.292, 0.162, 0.098, 0.054] - (x[0]*exp(-range(65)/10*x[4])"
         " + x[1]*exp(-(range(65)/10 - x[8])^2*x[5]) + x[2]*exp(-(range(65)/10 - x[9])^2*x[6])"
         " + x[3]*exp(-(range(65)/10 - x[10])^2*x[7])))^2)",
     .start = "x=[1.3,0.65,0.65,0.7,0.6,3,5,7,2,4.5,5.5]",
     .help = "MGH 19: 4.01377e-2",
     .size = 11,
     .fixed = true},
    {.name = "watson",
     .formula = "sum(((outer(range(30)[1:]/29, ones({n}))^outer(ones(29), range({n})))"
                "*(range({n}).*x)/(range(30)[1:]/29) - ((outer(range(30)[1:]/29, ones({n}))"
                "^outer(ones(29), range({n})))*x)^2 - 1)^2) + x[0]^2 + (x[1] - x[0]^2 - 1)^2",
     .start = "x=zeros({n})",
     .help = "MGH 20: 2.28767e-3 of 6 variables, 1.39976e-6 of 9",
     .size = 6},
    {.name = "extended-rosenbrock",
     .formula = "sum(100*(x[1::2] - x[0::2]^2)^2 + (1 - x[0::2])^2)",
     .start = "-1.2,1",
     .help = "MGH 21, pairs: f(1, ...) = 0",
     .size = 10,
     .multiple = 2},
    {.name = "penalty1",
     .formula = "1e-5*sum((x - 1)^2) + (sum(x^2) - 0.25)^2",
     .start = "x={i}",
     .help = "MGH 23: 2.24997e-5 of 4 variables, 7.08765e-5 of 10",
     .size = 4},
    {.name = "penalty2",
     .formula = "(x[0] - 0.2)^2 + 1e-5*sum((exp(x[1:]/10) + exp(x[:-1]/10) - exp({i}[1:]/10)"
                " - exp({i}[:-1]/10))^2) + 1e-5*sum((exp(x[1:]/10) - exp(-0.1))^2)"
                " + (sum(({n} + 1 - {i})*x^2) - 1)^2",
     .start = "x=ones({n})/2",
     .help = "MGH 24: 9.37629e-6 of 4 variables, 2.93660e-4 of 10",
     .size = 4},
    {.name = "variably-dimensioned",
     .formula = "sum((x - 1)^2) + sum({i}*(x - 1))^2 + sum({i}*(x - 1))^4",
     .start = "x=1 - {i}/{n}",
     .help = "MGH 25: f(1, ...) = 0",
     .size = 10},
    {.name = "trigonometric",
     .formula = "sum(({n} - sum(cos(x)) + {i}*(1 - cos(x)) - sin(x))^2)",
     .start = "x=ones({n})/{n}",
     .help = "MGH 26: f(0) = 0, and 2.79506e-5 of 10 variables",
     .size = 10},
    {.name = "brown-almost-linear",
     .formula = "sum((x[:-1] + sum(x) - {n} - 1)^2) + (prod(x) - 1)^2",
     .start = "x=ones({n})/2",
     .help = "MGH 27: f(1, ...) = 0, and 1 at (0, ..., 0, n + 1)",
     .size = 10},
    {.name = "discrete-boundary",
     .formula = "sum((2*x - concat(0, x[:-1]) - concat(x[1:], 0)"
                " + (x + {i}/({n} + 1) + 1)^3/(2*({n} + 1)^2))^2)",
     .start = "x={i}/({n} + 1)*({i}/({n} + 1) - 1)",
     .help = "MGH 28, a boundary value problem: 0",
     .size = 10},
    {.name = "discrete-integral",
     .formula = "sum((x + ((1 - {i}/({n} + 1))*((outer({i}, ones({n})) >= outer(ones({n}), {i}))"
                "*({i}/({n} + 1)*(x + {i}/({n} + 1) + 1)^3)) + {i}/({n} + 1)"
                "*((outer({i}, ones({n})) < outer(ones({n}), {i}))"
                "*((1 - {i}/({n} + 1))*(x + {i}/({n} + 1) + 1)^3)))/(2*({n} + 1)))^2)",
     .start = "x={i}/({n} + 1)*({i}/({n} + 1) - 1)",
     .help = "MGH 29, an integral equation: 0",
     .size = 10},
    {.name = "broyden-tridiagonal",
     .formula = "sum(((3 - 2*x)*x - concat(0, x[:-1]) - 2*concat(x[1:], 0) + 1)^2)",
     .start = "x=-ones({n})",
     .help = "MGH 30: 0",
     .size = 10},
    {.name = "broyden-banded",
     .formula = "sum((x*(2 + 5*x^2) + 1 - ((outer({i}, ones({n})) - outer(ones({n}), {i}) >= -1)"
                ".*(outer({i}, ones({n})) - outer(ones({n}), {i}) <= 5)"
                ".*(outer({i}, ones({n})) != outer(ones({n}), {i})))*(x*(1 + x)))^2)",
     .start = "x=-ones({n})",
     .help = "MGH 31: 0",
     .size = 10},
    {.name = "linear-full-rank",
     .formula = "sum((x - sum(x)/{n} - 1)^2) + {n}*(sum(x)/{n} + 1)^2",
     .start = "x=ones({n})",
     .help = "MGH 32 with 2 n equations: n at (-1, ...)",
     .size = 10},
    {.name = "linear-rank1",
     .formula = "sum(({i}*sum({i}*x) - 1)^2)",
     .start = "x=ones({n})",
     .help = "MGH 33 with n equations: n (n - 1)/(4 n + 2), along a plane",
     .size = 10},
    {.name = "linear-rank1-zero",
     .formula = "2 + sum((({i}[1:-1] - 1)*sum({i}[1:-1]*x[1:-1]) - 1)^2)",
     .start = "x=ones({n})",
     .help = "MGH 34 with n equations: (n^2 + 3 n - 6)/(4 n - 6), along a plane",
     .size = 10},
    {.name = "chebyquad",
     .formula = "mean(2*x - 1)^2 + (mean(2*(2*x - 1)^2 - 1) + 1/3)^2"
                " + mean(4*(2*x - 1)^3 - 3*(2*x - 1))^2"
                " + (mean(8*(2*x - 1)^4 - 8*(2*x - 1)^2 + 1) + 1/15)^2"
                " + mean(16*(2*x - 1)^5 - 20*(2*x - 1)^3 + 5*(2*x - 1))^2"
                " + (mean(32*(2*x - 1)^6 - 48*(2*x - 1)^4 + 18*(2*x - 1)^2 - 1) + 1/35)^2"
                " + mean(64*(2*x - 1)^7 - 112*(2*x - 1)^5 + 56*(2*x - 1)^3 - 7*(2*x - 1))^2"
                " + (mean(128*(2*x - 1)^8 - 256*(2*x - 1)^6 + 160*(2*x - 1)^4 - 32*(2*x - 1)^2"
                " + 1) + 1/63)^2",
     .start = "x={i}/9",
     .help = "MGH 35 of 8 variables: 3.51687e-3",
     .size = 8,
     .fixed = true},
};

}  // namespace

std::span<const TestFunction> more_garbow_hillstrom() { return kFunctions; }

}  // namespace descent::cli
