// The table of More, Garbow & Hillstrom's problems, behind test_functions.h.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "descent/ir/value.h"

namespace descent::optim {

struct MghProblem {
  const char* name;
  const char* formula;
  std::function<Value(const Value& x)> residuals;
  std::int64_t size = 2;  // usual number of variables
  // The smallest size and what it must be a multiple of; 0: the size is fixed.
  std::int64_t least = 0, multiple = 1;
  std::function<std::vector<double>(std::int64_t n)> start;
  double minimum = 0;                                // of the usual size
  std::vector<double> others;                        // other values a descent may end in
  std::function<double(std::int64_t n)> minimum_of;  // of other sizes, where it is known
};
const std::vector<MghProblem>& mgh_small();   // 1 to 20
const std::vector<MghProblem>& mgh_scaled();  // 21 to 35

std::string mgh_name(int number);         // "mgh07_helical_valley"
int mgh_number(const std::string& name);  // 0: no such name; "mgh07" alone is one too

}  // namespace descent::optim
