// Line searches: how far to go along a direction of descent. phi(t) = f(x + t d), phi'(0) < 0.
//
// Conditions, with c1 = `decrease`, c2 = `curvature`:
//   Armijo:        phi(t) <= phi(0) + c1 t phi'(0)
//   strong Wolfe:  Armijo, and |phi'(t)| <= c2 |phi'(0)|
//   approximate:   (2 c1 - 1) phi'(0) >= phi'(t) >= c2 phi'(0), and phi(t) <= phi(0) + rounding
// The last (Hager & Zhang 2005) is what Wolfe's conditions say of a parabola. Near a minimum, where
// the values of f differ by rounding only, slopes still tell, so all searches here accept it.
// A value that is not finite counts as too high: the search steps back from it.
#pragma once
#include <functional>
#include <limits>
#include <string>

#include "descent/optim/run.h"

namespace descent::optim {

struct LinePoint {
  double step = 0, value = 0, slope = 0;
  bool finite() const { return std::isfinite(value) && std::isfinite(slope); }
};
using Phi = std::function<LinePoint(double step)>;

struct LineSearchOptions {
  double decrease = 1e-4, curvature = 0.9;
  double longest = std::numeric_limits<double>::infinity();  // the longest step allowed
  int most = 50;                                             // evaluations
};
// found: the conditions hold at `point`, or no better point can be told apart in float64 and the
// value there is below the start's.
struct LineSearchResult {
  LinePoint point;
  bool found = false;
};
using LineSearch = std::function<LineSearchResult(const Phi& phi, const LinePoint& start,
                                                  double first, const LineSearchOptions& options)>;

// Backtracking from the first step, by the minimum of the cubic through values and slopes, to
// between 0.1 and 0.5 of the step before. Nocedal & Wright 2006, algorithm 3.1 and section 3.5.
LineSearchResult armijo(const Phi& phi, const LinePoint& start, double first,
                        const LineSearchOptions& options = {});
// Nocedal & Wright 2006, algorithms 3.5 (bracket) and 3.6 (zoom), with safeguarded cubic
// interpolation.
LineSearchResult strong_wolfe(const Phi& phi, const LinePoint& start, double first,
                              const LineSearchOptions& options = {});
// Hager & Zhang 2005, "A new conjugate gradient method with guaranteed descent and an efficient
// line search": brackets by slopes, double secant steps, bisection where those are slow.
// Their defaults: delta (decrease) 0.1, sigma (curvature) 0.9, epsilon 1e-6, theta 0.5, gamma 0.66,
// rho 5.
LineSearchResult hager_zhang(const Phi& phi, const LinePoint& start, double first,
                             const LineSearchOptions& options = {.decrease = 0.1});

// "armijo", "wolfe", "hager_zhang".
LineSearch line_search(const std::string& name);
std::vector<std::string> line_search_names();

// The objective of a run along a direction from its current point, for a line search. Keeps the
// last point and the best one, so that the accepted one need not be evaluated again.
class Line {
 public:
  Line(Run& run, const Vector& direction);
  LinePoint start() const { return {0, run_.value, dot(run_.gradient, direction_)}; }
  LinePoint at(double step);
  // Searches and, where a point is found, moves the run there. s and y: what changed of point and
  // gradient. False: the run stands where it stood.
  bool go(const LineSearch& search, double first, const LineSearchOptions& options = {});
  const Vector& s() const { return s_; }
  const Vector& y() const { return y_; }
  double step() const { return step_; }  // of the last go()

 private:
  struct Kept {
    LinePoint at{.step = -1};
    Vector x, gradient;
  };
  Run& run_;
  const Vector& direction_;
  Kept last_, best_;
  Vector s_, y_;
  double step_ = 0;
};

// The minimum of the cubic through two points, where it lies in (0.1, 0.9) of the way between
// them; else the middle. Where one of them is not finite: a tenth of the way from the other.
double interpolate(const LinePoint& a, const LinePoint& b);

}  // namespace descent::optim
