// Functions that minimisers are tried on, by name: formulas with their usual starts.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent::cli {

struct TestFunction {
  std::string_view name;
  std::string_view formula;  // of the vector x where `size` is not 0, else of named numbers
  std::string_view start;    // as --start has it; for a vector: the pattern that is repeated
  std::string_view help;
  int size = 0;                     // of the vector by default; 0: the formula's numbers
  double window[4] = {0, 0, 0, 0};  // of the map: x from, to, y from, to; all 0: by the path
};

std::span<const TestFunction> test_functions();  // in order of name
const TestFunction* find_test_function(std::string_view name);
// Its start as --start would say it; `size` 0: the default. A usage error where it has no size.
std::string start_of(const TestFunction& function, std::int64_t size);

}  // namespace descent::cli
