// Contours of a function on a grid: marching squares. Each level gives the closed rings around
// where the value is at least the level (along the grid's edge where the region leaves it), so that
// painting the rings of ascending levels over each other fills the bands between them.
#pragma once
#include <vector>

#include "descent/plot/figure.h"

namespace descent::plot {

struct Point {
  double x = 0, y = 0;
};
using Ring = std::vector<Point>;  // closed: the last point joins the first; the region on its left

// Linear interpolation along the cells' edges; a saddle is decided by the mean of the four corners.
// Values that are not finite count as below every level.
std::vector<Ring> contour_rings(const ContourMap& map, double level);

// About `count` levels, closer together towards the least value: the bowl of a minimum shows its
// form however steep the walls are.
std::vector<double> contour_levels(const std::vector<double>& values, int count = 14);

}  // namespace descent::plot
