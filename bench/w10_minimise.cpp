// W10: whole minimisations in float64 by L-BFGS, history 10, strong Wolfe, until the gradient's
// norm is at most 1e-6. "rosenbrock-1000": from (-1.2, 1, -1.2, 1, ...). "classical": twelve
// functions of 2 to 250 variables, one after another. "compile": the same twelve, each compiled
// anew. A step is one minimisation (of all twelve). Quality: the number of functions plus how far
// their values are above the minima.
#include "bench/workload.h"
#include "descent/optim/minimize.h"
#include "descent/optim/test_functions.h"

using namespace descent;

namespace {

std::vector<optim::TestFunction> classical() {
  std::vector<optim::TestFunction> all;
  for (const auto& [name, size] : std::vector<std::pair<const char*, int>>{{"rosenbrock", 2},
                                                                           {"beale", 2},
                                                                           {"booth", 2},
                                                                           {"matyas", 2},
                                                                           {"himmelblau", 2},
                                                                           {"three_hump_camel", 2},
                                                                           {"goldstein_price", 2},
                                                                           {"dixon_price", 10},
                                                                           {"zakharov", 10},
                                                                           {"styblinski_tang", 10},
                                                                           {"powell_singular", 12},
                                                                           {"quadratic", 250}}) {
    all.push_back(optim::test_function(name, size));
  }
  return all;
}

void minimise(const char* name, const bench::Arguments& arguments, int steps,
              std::vector<optim::TestFunction> functions, bool compile_anew) {
  const auto lbfgs = optim::minimizer("lbfgs");
  optim::MinimizeOptions options;
  options.tolerance = 1e-6;
  options.max_iterations = 20'000;
  if (!compile_anew) {
    for (auto& f : functions) f.objective = optim::compiled(f.objective);
  }
  double quality = 0;
  const auto run = [&](int count) {
    for (int i = 0; i < count; ++i) {
      quality = 0;
      for (const auto& f : functions) {
        const auto found = optim::minimize(f.objective, f.start, lbfgs, options);
        quality += 1 + found.value - f.minimum;
      }
    }
  };
  bench::measure("W10", name, arguments, steps,
                 {.reset = [] {}, .run = run, .result = [&] { return quality; }});
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  if (arguments.wanted("rosenbrock-1000"))
    minimise("rosenbrock-1000", arguments, 10, {optim::test_function("rosenbrock", 1000)}, false);
  if (arguments.wanted("classical")) minimise("classical", arguments, 200, classical(), false);
  if (arguments.wanted("compile")) minimise("compile", arguments, 20, classical(), true);
}
