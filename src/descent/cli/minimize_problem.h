// What `descent minimize` is asked for, made into an objective of the library: the formula, its
// variables with their starts, data and bounds.
#pragma once
#include <string>
#include <vector>

#include "descent/base/shape.h"
#include "descent/optim/minimize.h"

namespace descent::cli {

// A variable is a number, a vector or a matrix: `size` elements of x from `offset` on.
struct Variable {
  std::string name;
  Shape shape;
  std::int64_t offset = 0, size = 1;
};

struct Problem {
  std::string title;                        // the function's name, or the formula
  std::string formula;                      // as text: for people where the function is a named one
  optim::Objective function;                // without the bounds
  std::vector<Variable> variables;          // in the order of the starts
  std::vector<double> start, lower, upper;  // bounds: empty where there are none
  std::vector<double> window;               // of a map, where the function is known

  std::int64_t size() const { return std::ssize(start); }
  // "x", or "x[2]" of a vector.
  std::vector<std::string> labels() const;
  optim::Objective objective() const;
};

struct ProblemText {
  std::string function;                  // a formula, or the name of a test function
  std::vector<std::string> start, data;  // "x=1,y=[2,3]"; "A.csv,b.csv"
  std::vector<std::string> lower, upper;
  std::int64_t size = 0;  // of a test function; 0: its own
};

// Usage errors name what is missing or unknown; data errors the file.
Problem read_problem(const ProblemText& text);

}  // namespace descent::cli
