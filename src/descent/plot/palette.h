// Colours: for lines those of Okabe and Ito ("Color universal design", 2008), which readers with
// any colour vision tell apart; for maps viridis (S. van der Walt, N. Smith; CC0), in which equal
// steps look equal.
#pragma once
#include <cstddef>

namespace descent::plot {

struct Colour {
  double red = 0, green = 0, blue = 0;  // 0 to 1
};

constexpr int kPaletteSize = 8;
// Of a line; after the eighth they begin anew (with dashes, see draw.cpp).
Colour palette(int index);
// 0 (low, dark) to 1 (high, light).
Colour viridis(double t);
Colour mixed(const Colour& a, const Colour& b, double t);  // a at 0, b at 1

}  // namespace descent::plot
