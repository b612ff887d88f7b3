// A function compiled for minimisation: value, gradient, Hessian and its products with vectors,
// each compiled when first asked for and then replayed. Not for several threads at once.
#pragma once
#include <Eigen/Core>

#include "descent/compile/plan.h"
#include "descent/optim/minimize.h"

namespace descent::optim {

using Vector = Eigen::VectorXd;
using Matrix = Eigen::MatrixXd;

class Evaluator {
 public:
  explicit Evaluator(Objective objective);

  std::int64_t size() const { return objective_.size; }
  const Objective& objective() const { return objective_; }

  double value(const Vector& x);
  // Writes the gradient into g.
  double value_and_gradient(const Vector& x, Vector& g);
  // H(x) v: forward over reverse, exact, about the price of two gradients.
  void hessian_times(const Vector& x, const Vector& v, Vector& product);
  // phi(t) = f(x + t d) at t = 0, by forward mode twice; counted as an evaluation.
  struct Along {
    double value = 0, slope = 0, curvature = 0;
  };
  Along along(const Vector& x, const Vector& d);
  Matrix hessian(const Vector& x);  // by `size` products, symmetric
  // Our gradient, whether or not the user gave one.
  Vector differentiated(const Vector& x);

  // Calls of value() and value_and_gradient() so far, those that found NaN included.
  std::int64_t evaluations() const { return evaluations_; }
  std::int64_t hessian_products() const { return products_; }
  void reset_counts() { evaluations_ = products_ = 0; }
  // A method that evaluates something of its own (residuals) counts it.
  void count_evaluation() { ++evaluations_; }

 private:
  // A plan of {x} or {x, v} with its memory at hand.
  struct Compiled {
    Plan plan;
    std::vector<double*> in, out;
  };
  void prepare(Compiled& c, const Fn& f, int inputs) const;
  static void run(Compiled& c, const Vector& x);

  Objective objective_;
  ScalarFn f_;
  Compiled value_, gradient_, product_, along_;
  std::int64_t evaluations_ = 0, products_ = 0;
};

// Throws a usage error that names the component where the user's gradient at x differs from ours.
void check_gradient(Evaluator& f, const Vector& x);

// "(-1.2, 1)", cut after a few components.
std::string to_string(const Vector& x);

}  // namespace descent::optim
