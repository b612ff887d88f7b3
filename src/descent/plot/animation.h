// Lines that grow: the paths of optimizers over a map, as a GIF or as one self-contained HTML page
// (a picture, the paths, a few lines of script; no network).
#pragma once
#include <string>

#include "descent/plot/figure.h"

namespace descent::plot {

struct Animation {
  std::string title;
  Panel panel;                     // its lines grow by a point at a time, all at the same pace
  std::string unit = "iteration";  // what the points are
  // Values at the points of each line, shown by the HTML page; empty: none.
  std::vector<std::vector<double>> values;
  double width = 0, height = 0;  // as a Figure's
  int frames = 60;
  double seconds = 6;

  // .gif or .html; anything else is a usage error.
  void save(const std::string& path) const;
  std::string gif() const;
  std::string html() const;
};

// The point that each frame reaches, of the longest line's `size`: all of few points; of many the
// first ones slowly, since an optimizer moves most at the begin.
std::vector<std::size_t> frame_points(std::size_t size, int frames);

}  // namespace descent::plot
