// The strong Wolfe search of line_search.h (Nocedal & Wright 2006, algorithms 3.5 and 3.6) with one
// evaluation a call, as values: for a search whose evaluations are the steps of a training run. The
// search itself is state.
//
//   phi(t) = f(x + t d), phi'(0) < 0
//   accepted: phi(t) <= phi(0) + c1 t phi'(0) and |phi'(t)| <= c2 |phi'(0)|
//
// Stages: a bracket is looked for (0), it is narrowed (1), its lower end is evaluated again to be
// accepted as it is (2: the evaluations are used up, or the type's resolution). Where values differ
// by rounding only, slopes decide, as there. A value that is not finite is too high: it ends the
// bracket.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "descent/optim/transform.h"

namespace descent::optim {

struct WolfeOptions {
  double c1 = 1e-4, c2 = 0.9;
  std::int64_t max_evaluations = 25;
};

class WolfeSteps {
 public:
  static std::vector<StateTensor> state(const std::string& name, DType dtype);
  static constexpr std::size_t kTensors = 13;

  WolfeSteps(std::span<Value> state, WolfeOptions options) : state_(state), options_(options) {}

  // The trial that the next evaluation is of.
  const Value& trial() const;
  // phi(0) and phi'(0).
  const Value& value() const;
  const Value& slope() const;

  // Of the evaluation at trial(); value and slope must be finite numbers, whatever the mask
  // `finite` says. Masks; where both are 0, trial() is the next one.
  struct Verdict {
    Value accepted;
    Value failed;  // no point is lower
  };
  Verdict take(const Value& value, const Value& slope, const Value& finite);
  // Begins anew along another direction where the mask is 1.
  void begin(const Value& mask, const Value& value, const Value& slope, const Value& trial);

 private:
  Value& at(std::size_t slot) const { return state_[slot]; }

  std::span<Value> state_;
  WolfeOptions options_;
};

}  // namespace descent::optim
