// Where an axis has its ticks, and what they say.
#pragma once
#include <string>
#include <vector>

namespace descent::plot {

struct Tick {
  double at = 0;
  std::string label;  // empty: a minor tick
};

struct Ticks {
  double min = 0, max = 1;  // the range of the axis
  std::vector<Tick> ticks;  // ascending, within the range
};

// Steps of 1, 2 or 5 times a power of ten, as many as come nearest to `about`; `whole`: at least 1.
std::vector<Tick> linear_ticks(double min, double max, int about, bool whole = false);
// Powers of ten (every second, third ... where there are many), with 2 and 5 between them where
// there are few; minor ticks at the other multiples. 0 < min < max.
std::vector<Tick> log_ticks(double min, double max, int about);

// A number for people: "0.05", "12000", "1.5×10⁻⁷"; at most `digits` significant digits.
std::string number_label(double value, int digits = 4);

}  // namespace descent::plot
