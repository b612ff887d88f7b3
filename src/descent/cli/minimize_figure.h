// What `descent minimize` draws: paths over a contour map, or values against iterations.
#pragma once
#include <string>
#include <vector>

#include "descent/cli/minimize_problem.h"
#include "descent/plot/animation.h"
#include "descent/plot/figure.h"

namespace descent::cli {

// What a method did: its iterates, the first being the start.
struct Trace {
  struct Row {
    std::int64_t iteration = 0, evaluations = 0;
    double value = 0, gradient_norm = 0, step = 0;
  };
  std::string method;
  std::vector<Row> rows;
  std::vector<std::vector<double>> points;  // x of each row; empty where there are many variables
  optim::Minimum found;
  double seconds = 0;
  bool diverged() const { return found.reason.starts_with("diverged"); }
};
constexpr std::int64_t kMostShown = 4;  // variables whose path is kept

// One variable: the curve; two: the map (with several methods also their values); more: values.
plot::Figure draw_minimization(const Problem& problem, const optim::Objective& objective,
                               const std::vector<Trace>& traces);
// A usage error where there are more than two variables.
plot::Animation animate_minimization(const Problem& problem, const optim::Objective& objective,
                                     const std::vector<Trace>& traces);

}  // namespace descent::cli
