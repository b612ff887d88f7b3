// What is drawn on: cairo, with the few things that figures need.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "descent/plot/contour.h"
#include "descent/plot/palette.h"

struct _cairo;  // NOLINT: cairo's own name

namespace descent::plot {

struct Rect {
  double left = 0, top = 0, width = 0, height = 0;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

constexpr Colour kBlack = {0.13, 0.13, 0.13}, kGrey = {0.45, 0.45, 0.45},
                 kPale = {0.90, 0.90, 0.90}, kWhite = {1, 1, 1};

enum class Align { left, centre, right };

struct TextStyle {
  double size = 12;
  bool bold = false;
  Align align = Align::left;
  bool upwards = false;  // turned by a quarter to the left
  Colour colour = kBlack;
};

struct Stroke {
  Colour colour = kBlack;
  double width = 1;
  std::vector<double> dashes = {};
  double alpha = 1;
};

class Canvas {
 public:
  explicit Canvas(_cairo* cairo);

  double text_width(const std::string& text, const TextStyle& style) const;
  // At the place, vertically centred on y (turned: horizontally centred on x).
  void text(const std::string& text, Point at, const TextStyle& style) const;
  // As many characters as fit, "..." where some are left out.
  std::string shortened(const std::string& text, double width, const TextStyle& style) const;

  void fill(const Rect& rect, const Colour& colour, double alpha = 1) const;
  void outline(const Rect& rect, const Stroke& stroke) const;
  void polyline(const std::vector<Point>& points, const Stroke& stroke) const;
  // All rings in one go: holes stay open, common edges leave no seam.
  void fill(const std::vector<Ring>& rings, const Colour& colour, double alpha = 1) const;
  void outline(const std::vector<Ring>& rings, const Stroke& stroke) const;
  void disc(Point centre, double radius, const Colour& colour, double alpha = 1) const;
  void ring(Point centre, double radius, const Stroke& stroke) const;
  // Draws within the rectangle only.
  void clipped(const Rect& rect, const std::function<void()>& draw) const;

 private:
  void font(const TextStyle& style) const;
  void path(const Ring& ring) const;
  void stroke(const Stroke& stroke) const;
  _cairo* cairo_;
};

// Draws a picture of a size in CSS pixels; throws where cairo fails (out of memory).
using Draw = std::function<void(const Canvas&)>;
std::string render_svg(double width, double height, const std::string& title, const Draw& draw);
std::string render_png(double width, double height, double scale, const Draw& draw);
// Rows of 0xRRGGBB.
struct Pixels {
  int width = 0, height = 0;
  std::vector<std::uint32_t> rgb;
};
// Over the picture `under` of the same size, or over white.
Pixels render_pixels(double width, double height, double scale, const Draw& draw,
                     const Pixels* under = nullptr);

}  // namespace descent::plot
