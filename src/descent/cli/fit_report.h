// What `descent fit` tells: numbers as text or JSON, and a picture.
#pragma once
#include <string>

#include "descent/cli/fit_problem.h"
#include "descent/optim/fit_statistics.h"

namespace descent::cli {

struct Fitted {
  optim::Minimum found;
  optim::FitStatistics statistics;
  std::string method;
  double r2 = 0;             // 1 - sum w r^2 / sum w (y - mean)^2; NaN where y is constant
  double t95 = 0;            // half width of a 95 % interval in standard errors
  std::vector<double> left;  // what was measured, and the model of it, in each row
  std::vector<double> right;
};
// Judges the parameters that were found.
Fitted judge(const FitProblem& problem, const optim::Objective& objective, optim::Minimum found,
             std::string method);

// A table of the parameters and the lines below it.
std::string fit_text(const FitProblem& problem, const Fitted& fit);
// One object; what is not determined is null.
std::string fit_json(const FitProblem& problem, const Fitted& fit);
// Why some parameters have no standard errors: one sentence each.
std::vector<std::string> fit_warnings(const FitProblem& problem, const Fitted& fit);
// The data with the fitted curve, and the residuals below. With several predictors, what was
// measured against the model.
void plot_fit(const FitProblem& problem, const Fitted& fit, const std::string& title,
              const std::string& path);

}  // namespace descent::cli
