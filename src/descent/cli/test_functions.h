// Functions that minimisers are tried on, by name: formulas with their usual starts.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent::cli {

struct TestFunction {
  std::string_view name;
  // Of the vector x where `size` is not 0, else of named numbers. {n} stands for the size, {i} for
  // the vector 1, ..., n.
  std::string_view formula;
  // As --start has it; for a vector a pattern that is repeated, or x=...
  std::string_view start;
  std::string_view help;
  int size = 0;                     // of the vector by default; 0: the formula's numbers
  bool fixed = false;               // no other size is possible
  int multiple = 1;                 // sizes are multiples of it
  double window[4] = {0, 0, 0, 0};  // of the map: x from, to, y from, to; all 0: by the path
};

std::vector<TestFunction> test_functions();  // in order of name
// Those of More, Garbow and Hillstrom that are not classics of their own.
std::span<const TestFunction> more_garbow_hillstrom();
std::optional<TestFunction> find_test_function(std::string_view name);
// Its formula at a size (0: the default), and its start as --start would say it; `size` 0: the
// default. A usage error where it has no size.
std::string formula_of(const TestFunction& function, std::int64_t size);
std::string start_of(const TestFunction& function, std::int64_t size);

}  // namespace descent::cli
