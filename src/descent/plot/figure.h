// Figures: curves, points and maps of a function, drawn with cairo as SVG or PNG.
//
//   plot::Figure figure{.title = "Loss"};
//   figure.panels.push_back({.x = {.label = "step"}, .y = {.label = "loss", .log = true},
//                            .lines = {{.label = "adam", .x = steps, .y = loss}}});
//   figure.save("loss.svg");
//
// Colours are told apart by colour-blind readers, too (Okabe and Ito 2008), and the map's palette
// is perceptually uniform (viridis). Everything has a default: what is left out is chosen from the
// data. Points that are not finite, or not positive on a logarithmic axis, leave a gap.
#pragma once
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace descent::plot {

struct Axis {
  std::string label;
  bool log = false;
  std::optional<double> min, max;  // unset: from the data
  bool whole = false;              // ticks at whole numbers only (epochs, iterations)
};

enum class Marker {
  none,
  points,  // a dot at each point
  ends     // a ring where the line begins, a dot where it ends: the path of an optimizer
};

struct Line {
  std::string label;              // empty: not in the legend
  std::vector<double> x, y;       // of one length
  std::vector<double> low, high;  // the spread around y, drawn as a band; empty: none
  std::optional<int> colour;      // of palette(); unset: the next one
  double width = 1.8;
  bool dashed = false;
  Marker marker = Marker::none;
};

struct Scatter {
  std::string label;
  std::vector<double> x, y;
  std::optional<int> colour;
  double radius = 2.5;
};

// A line across the panel: vertical at x, or horizontal at y; its label stands beside it.
struct Mark {
  std::optional<double> x, y;
  std::string label;
};

// The values of a function on a grid: value[j * x.size() + i] at (x[i], y[j]), both ascending.
// Values that are not finite are left grey.
struct ContourMap {
  std::vector<double> x, y, value;
  std::vector<double> levels;  // empty: about 14, closer together towards the minimum
  std::string label;           // of the scale beside the map
};

struct Panel {
  std::string title;
  Axis x, y;
  std::optional<ContourMap> map;
  std::vector<Line> lines;
  std::vector<Scatter> points;
  std::vector<Mark> marks;
};

// Where a panel's data lie in the picture, in its units (CSS pixels from the upper left).
struct PanelArea {
  double left = 0, top = 0, width = 0, height = 0;
  double x_min = 0, x_max = 1, y_min = 0, y_max = 1;
  bool x_log = false, y_log = false;
  double to_x(double x) const;  // data to picture
  double to_y(double y) const;
};

struct Figure {
  std::string title;
  std::vector<Panel> panels;
  int columns = 0;  // of panels; 0: as many as there are panels, up to 3
  // Of the whole picture in CSS pixels; 0: 640 by 420 a panel.
  double width = 0, height = 0;

  // The format comes from the name: .svg or .png (at twice the pixels); anything else is a usage
  // error. The file is written whole or not at all.
  void save(const std::string& path) const;
  std::string svg() const;
  std::string png(double pixels_per_unit = 2) const;
  // Where the panels lie.
  std::vector<PanelArea> areas() const;
};

// A usage error unless the name ends in one of the formats ("svg"): before hours of computing.
void require_format(const std::string& path, const std::vector<std::string>& formats,
                    const std::string& where);

// Points of long curves that are worth drawing: at most `most`, the first and the last among them,
// closer together at the begin (where an optimizer moves most) if `early`.
std::vector<std::size_t> thinned(std::size_t size, std::size_t most, bool early = false);

}  // namespace descent::plot
