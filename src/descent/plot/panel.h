// One panel of a figure: its layout in a part of the picture, and what is drawn there.
#pragma once
#include <string>
#include <vector>

#include "descent/plot/canvas.h"
#include "descent/plot/figure.h"
#include "descent/plot/ticks.h"

namespace descent::plot {

struct PanelLayout {
  PanelArea area;
  Rect frame;  // of the data, the same as the area
  std::vector<Tick> x_ticks, y_ticks;
  std::vector<double> levels;                 // of the map
  std::vector<std::vector<int>> legend_rows;  // entries: lines, then scatters
  double legend_top = 0, title_y = 0;
  Rect cell;
};

PanelLayout lay_out(const Canvas& canvas, const Panel& panel, const Rect& cell);
void draw_panel(const Canvas& canvas, const Panel& panel, const PanelLayout& layout);
// Only the lines: what moves in an animation.
void draw_lines(const Canvas& canvas, const Panel& panel, const PanelLayout& layout);
// The colour of band k of n on a map; light enough for lines on top.
Colour band_colour(std::size_t k, std::size_t n);
// The colour of a line of the panel.
Colour line_colour(const Panel& panel, std::size_t line);

}  // namespace descent::plot
