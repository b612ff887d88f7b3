// Formulas as text: "100*(y - x^2)^2 + (1 - x)^2" becomes a function of values, so that whatever
// values can do (gradients, Hessians, compiled plans) is there for a formula too.
//
//   numbers      2  .5  1e-3; lists [1, 2] and [[1, 2], [3, 4]]
//   names        letters, digits and _ (Greek letters too); pi and e unless a value of that name
//                is bound
//   operators    comparisons < <= > >= == != (1 or 0), then + -, then * / @ .* ./, then unary -,
//                then ^ or ** (to the right: 2^3^2 = 2^9; -x^2 = -(x^2)), then x[...] and A'
//   products     a*b multiplies elements with NumPy's broadcasting, but where one side is a matrix
//                and the other a matrix or a vector it is the matrix product, as on paper; .* is
//                always by elements, @ always NumPy's matmul. x' of a vector is a row: x'*A*x is a
//                number
//   indices      x[0], x[-1], x[1:], x[:-1], x[0::2], A[0], A[:, 1]: Python's
//   calls        sin(x), max(x) of all elements, max(x, 0) by elements ...; functions() lists them
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "descent/ir/value.h"

namespace descent::optim {

namespace expression {
struct Program;
}

class Expression {
 public:
  // Throws a usage error with the column, a caret under the text, and what to write instead.
  static Expression parse(const std::string& text);

  // Free names in order of appearance; neither functions nor the constants pi and e.
  const std::vector<std::string>& names() const { return names_; }
  // Whether the name occurs at all: also true of pi and e.
  bool uses(const std::string& name) const;
  // The formula's value; `bound` gives each name a float64 value of rank 0, 1 or 2. Usage errors
  // name what is unbound and, with column and caret, the operation whose shapes do not fit.
  Value build(const std::map<std::string, Value>& bound) const;
  const std::string& text() const;

  // The names of all functions that a formula may call.
  static const std::vector<std::string>& functions();

 private:
  explicit Expression(std::shared_ptr<const expression::Program> program);
  std::shared_ptr<const expression::Program> program_;
  std::vector<std::string> names_;
};

}  // namespace descent::optim
