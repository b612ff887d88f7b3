// Minimisation of a function of one float64 vector.
//
//   auto rosenbrock = [](Value v) {
//     return 100.0 * square(v[1] - square(v[0])) + square(1.0 - v[0]);
//   };
//   const auto found = optim::minimize(rosenbrock, {-1.2, 1.0});
//
// The function is written in operations on values, differentiated and compiled once, and replayed
// without allocating. The methods are files of minimizers/, which also hold their formulas.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/base/registry.h"
#include "descent/ir/fn.h"

namespace descent::optim {

class Evaluator;

// What is minimised: a function of one float64 vector of `size` numbers.
struct Objective {
  std::int64_t size = 0;
  // {float64[size]} -> float64 scalar. May be null where residuals are given: then their sum of
  // squares.
  ScalarFn value;
  Fn residuals;                      // optional: {x} -> {float64[m]}
  std::vector<double> lower, upper;  // optional bounds (empty: none; +-infinity allowed)
  // Optional: the user's analytic gradient, which is then used instead of ours.
  std::function<std::vector<double>(std::span<const double> x)> gradient;
  // The function compiled already, to run several minimisers on it: see compiled().
  std::shared_ptr<Evaluator> evaluator;
};
// The objective with its function compiled, so that the runs that follow need not do it again.
// Copies share the compiled function; two of them must not run at the same time.
Objective compiled(Objective objective);

// Told after each iteration (iteration 0: the start).
struct Iterate {
  std::int64_t iteration = 0, evaluations = 0;  // of the value, with or without the gradient
  double value = 0, gradient_norm = 0;          // Euclidean norm, of the projected gradient
  double step = 0;                              // length of the step taken
  std::span<const double> x;
};

struct MinimizeOptions {
  std::int64_t steps = 0;           // > 0: exactly so many iterations (tolerances are then off)
  std::int64_t max_iterations = 0;  // 0: the method's own default
  double tolerance = 1e-8;          // on the Euclidean norm of the (projected) gradient
  bool check_gradient = false;      // compare Objective::gradient with ours at the start
  std::function<void(const Iterate&)> watch;
};

struct Minimum {
  std::vector<double> x;
  double value = 0, gradient_norm = 0;
  std::int64_t iterations = 0, evaluations = 0;
  bool converged = false;
  // "gradient norm 3e-9 <= 1e-8", "no further decrease", "200 iterations"; begins with "diverged"
  // where the value stopped being finite: x is then the last point where it was.
  std::string reason;
  // Of the point, by the Hessian: "minimum", "saddle", "maximum", "flat" (a direction without
  // curvature); "boundary" (a bound or a constraint is active); "unknown" (not stationary, or more
  // than 200 variables).
  std::string kind;
  std::vector<double> eigenvalues;  // of the Hessian at x, ascending; empty where size > 200
};

class Minimizer {
 public:
  virtual ~Minimizer() = default;
  virtual Minimum run(const Objective& objective, std::vector<double> start,
                      const MinimizeOptions& options) const = 0;
};

using MinimizerRegistry = Registry<std::shared_ptr<const Minimizer>(const Options&)>;
const MinimizerRegistry& minimizers();
// A minimiser by name with some of its options set. Names of optimizers() (adam, sgd, ...) work
// too, each step then takes the full gradient.
std::shared_ptr<const Minimizer> minimizer(const std::string& name, const Options& given = {});
std::vector<std::string> minimizer_names();  // all of them
// The options of either kind of name.
const std::vector<Option>& minimizer_options(const std::string& name);

// By default with L-BFGS. A start where the value or the gradient is not finite is a usage error;
// one outside the bounds is moved to the nearest point inside.
Minimum minimize(const Objective& objective, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with = nullptr,
                 const MinimizeOptions& options = {});
Minimum minimize(const ScalarFn& f, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with = nullptr,
                 const MinimizeOptions& options = {});
Minimum minimize(const std::function<Value(const Value&)>& f, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with = nullptr,
                 const MinimizeOptions& options = {});

}  // namespace descent::optim
