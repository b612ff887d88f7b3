// A formula and a table as a problem of least squares: what `descent fit` minimises.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "descent/optim/expression.h"
#include "descent/optim/minimize.h"

namespace descent::cli {

// "a=1,b=-2e3" as names and numbers, in that order; `option` ("--start") begins the errors' place.
using Assignments = std::vector<std::pair<std::string, double>>;
Assignments parse_assignments(const std::vector<std::string>& texts, const std::string& option);

// "y ~ a*exp(-b*x) + c": what was measured, and the model of it.
struct Formula {
  optim::Expression left, right;
};
Formula parse_formula(const std::string& text);

// The columns that a fit needs, without the rows that miss any of them.
struct FitData {
  std::string where;
  std::vector<std::string> names;            // of the formula's columns
  std::vector<std::vector<double>> columns;  // in that order
  std::vector<double> weights;               // empty: all 1
  std::vector<std::int64_t> lines;           // of the rows in the file
  std::int64_t missing = 0, weightless = 0;  // rows left out: a missing value, a weight of 0
  std::vector<std::string> warnings;
  std::int64_t rows() const { return std::ssize(lines); }
};

class FitProblem {
 public:
  // weights: the name of a column, or empty. Throws usage errors for names that are neither a
  // column nor a parameter, and data errors for what the file lacks.
  FitProblem(const std::string& path, Formula formula, const Assignments& start,
             const std::string& weights);

  const FitData& data() const { return data_; }
  const std::vector<std::string>& parameters() const { return parameters_; }
  const std::vector<double>& start() const { return start_; }
  // Columns on the right side of the formula, as indices in data().columns.
  const std::vector<std::size_t>& predictors() const { return predictors_; }
  const Formula& formula() const { return formula_; }

  // The weighted residuals sqrt(w) (model - measured), with bounds for some parameters. Refers to
  // this problem.
  optim::Objective objective(const Assignments& lower, const Assignments& upper) const;
  // Both sides of the formula, in each row; `columns` instead of the data's, where given.
  std::vector<double> left(const std::vector<double>& x) const;
  std::vector<double> right(const std::vector<double>& x,
                            const std::vector<std::vector<double>>* columns = nullptr) const;
  // Throws a usage error that names the first line where the residual is not finite at the start.
  void require_finite_start() const;

 private:
  std::vector<double> bounds_of(const Assignments& given, const std::string& option,
                                double none) const;
  Value side(const optim::Expression& expression, const Value& x,
             const std::vector<std::vector<double>>& columns) const;
  std::vector<double> computed(const optim::Expression& expression, const std::vector<double>& x,
                               const std::vector<std::vector<double>>& columns) const;

  Formula formula_;
  FitData data_;
  std::vector<std::string> parameters_;
  std::vector<double> start_;
  std::vector<std::size_t> predictors_;
};

}  // namespace descent::cli
