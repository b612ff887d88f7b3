// What a minimiser is written with. A new one is a file of minimizers/ with its rule and its row:
//
//   void register_gd(MinimizerRegistry& registry) {
//     add_minimizer(registry, "gd", "gradient descent with a fixed step", {number_option("lr",
//     ...)},
//                   [](const Options& o) {
//                     return [lr = o.number("lr")](Run& run) {
//                       while (run.goes_on()) run.move_to(run.x - lr * run.gradient);
//                     };
//                   });
//   }
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "descent/optim/evaluator.h"
#include "descent/optim/minimize.h"

namespace descent::optim {

// Sums of products by the kernels, which are faster than Eigen's where the library is built for any
// processor.
double dot(const Vector& a, const Vector& b);
bool all_finite(const Vector& v);

// One minimisation: the point, what it costs, when it is over, who is told.
class Run {
  std::shared_ptr<Evaluator> evaluator_;  // first: f refers to it

 public:
  // Evaluates the start (inside the bounds), which must be finite.
  Run(const Objective& objective, const std::vector<double>& start, const MinimizeOptions& options,
      std::int64_t default_iterations);

  Evaluator& f;  // counts every evaluation
  const Objective& objective;
  Vector x, gradient;  // the current point
  double value = 0;

  // Some methods judge by something else than the plain gradient: the norm that the tolerance is
  // held against, and what is added to the value (an L1 penalty). Set before the first goes_on().
  std::function<double(const Vector& x, const Vector& gradient)> stationarity;
  std::function<double(const Vector& x)> penalty;
  // The point lies on the edge of a constraint that the method keeps (bounds are known anyway).
  std::function<bool(const Vector& x)> on_boundary;

  // False where the run is over: converged, stuck, diverged, or enough iterations. Tells the start.
  bool goes_on();
  // Ends an iteration at a point: evaluated here, or already known. A value that is not finite
  // ends the run as diverged, at the last point.
  void move_to(const Vector& to);
  void accept(const Vector& to, double value_there, const Vector& gradient_there);
  // The same by a method that asks for no gradients: it is computed when the run is over.
  void accept_value(const Vector& to, double value_there);
  // Moves the start, before the first goes_on(): into a method's own constraint.
  void restart_at(const Vector& to);
  // The method cannot do better: the run is over. With a number of steps to be made, the rest of
  // them are counted as steps of length 0.
  void stuck(const std::string& why, bool converged = false);
  // The run ends as not converged.
  void diverged(const std::string& why);

  std::int64_t iteration() const { return iteration_; }
  double gradient_norm() const { return norm_; }
  const MinimizeOptions& options() const { return options_; }
  bool has_bounds() const { return !objective.lower.empty() || !objective.upper.empty(); }
  double lower(Eigen::Index i) const;
  double upper(Eigen::Index i) const;
  Vector inside(Vector at) const;  // the nearest point within the bounds
  // Value with the penalty.
  double total() const { return penalty ? value + penalty(x) : value; }
  bool finite(double v, const Vector& g) const { return std::isfinite(v) && all_finite(g); }

  Minimum finish();

 private:
  void measure();
  void tell(double step);
  void check_end();
  void require_finite_start() const;

  MinimizeOptions options_;
  std::int64_t most_ = 0, iteration_ = 0;
  double norm_ = 0;
  bool begun_ = false, over_ = false, converged_ = false;
  std::string reason_;
};

// The method as a function of a run. It may throw away what it holds: it is made for each run.
using Method = std::function<void(Run&)>;
enum class Bounds { refused, kept };
struct MinimizerRow {
  std::string name, help;
  std::vector<Option> options;
  std::function<Method(const Options&)> method;
  std::int64_t iterations = 10'000;  // the most, by default
  Bounds bounds = Bounds::refused;   // kept: the method takes care that x stays inside
};
void add_minimizer(MinimizerRegistry& registry, const MinimizerRow& row);
// A minimiser of a method, outside of the registry.
std::shared_ptr<const Minimizer> minimizer_of(const MinimizerRow& row, const Options& options);

// The minimiser that takes steps of an optimizer along the full gradient; options: its resolved
// ones.
std::shared_ptr<const Minimizer> optimizer_minimizer(const std::string& name,
                                                     const Options& options);

// Options of a method, as rule.h has them for optimizers, but without a lower bound of 0.
Option integer_option(std::string key, std::int64_t fallback, std::string help,
                      std::int64_t min = 1);
Option choice_option(std::string key, std::string fallback, std::string help,
                     std::vector<std::string> choices);

// "minimum", "saddle", "maximum" or "flat" of a stationary point, "unknown" elsewhere; and the
// eigenvalues. gradient: at x. Curvature counts as none where, after the variables are scaled to
// unit curvature (which changes no sign: Sylvester), it is below 1e-7, or where it changes by more
// than half on the way to the point where the gradient would vanish, as that of x^4 does.
struct Classified {
  std::string kind;
  std::vector<double> eigenvalues;
};
Classified classify(Evaluator& f, const Vector& x, const Vector& gradient, double tolerance);

}  // namespace descent::optim
