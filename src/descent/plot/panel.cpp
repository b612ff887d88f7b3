#include "descent/plot/panel.h"

#include <algorithm>
#include <cmath>

#include "descent/plot/contour.h"

namespace descent::plot {
namespace {

constexpr double kFar = 2000;  // beyond the frame nothing is seen, and cairo's numbers are bounded
constexpr double kLegendRow = 19, kSample = 24, kGap = 18;

// The part of a segment within `kFar` of the frame; false: none.
bool cut(Point& a, Point& b) {
  double from = 0, to = 1;
  const double dx = b.x - a.x, dy = b.y - a.y;
  const auto side = [&](double delta, double room) {  // delta t <= room (Liang and Barsky)
    if (delta == 0) return room >= 0;
    const double t = room / delta;
    if (delta < 0) {
      from = std::max(from, t);
    } else {
      to = std::min(to, t);
    }
    return from <= to;
  };
  if (!side(-dx, a.x + kFar) || !side(dx, 2 * kFar - a.x) || !side(-dy, a.y + kFar) ||
      !side(dy, 2 * kFar - a.y))
    return false;
  const Point begin = a;
  a = {begin.x + from * dx, begin.y + from * dy};
  b = {begin.x + to * dx, begin.y + to * dy};
  return true;
}

class Drawing {
 public:
  Drawing(const Canvas& canvas, const Panel& panel, const PanelLayout& layout)
      : canvas_(canvas), panel_(panel), layout_(layout) {}

  void grid() const {
    if (panel_.map) return;
    const auto& f = layout_.frame;
    const auto stroke = [](const Tick& tick) {
      return Stroke{.colour = kPale, .width = tick.label.empty() ? 0.4 : 0.8};
    };
    for (const auto& tick : layout_.x_ticks) {
      const double x = layout_.area.to_x(tick.at);
      canvas_.polyline({{x, f.top}, {x, f.bottom()}}, stroke(tick));
    }
    for (const auto& tick : layout_.y_ticks) {
      const double y = layout_.area.to_y(tick.at);
      canvas_.polyline({{f.left, y}, {f.right(), y}}, stroke(tick));
    }
  }

  void map() const {
    if (!panel_.map) return;
    const auto& map = *panel_.map;
    canvas_.fill(layout_.frame, kPale);
    const auto bands = layout_.levels.size() + 1;
    for (std::size_t k = 0; k < bands; ++k) {
      const double level = k == 0 ? std::numeric_limits<double>::lowest() : layout_.levels[k - 1];
      auto rings = contour_rings(map, level);
      for (auto& ring : rings) {
        for (auto& p : ring) p = {layout_.area.to_x(p.x), layout_.area.to_y(p.y)};
      }
      canvas_.fill(rings, band_colour(k, bands));
      if (k > 0) canvas_.outline(rings, {.colour = kWhite, .width = 0.6, .alpha = 0.55});
    }
    colour_bar();
  }

  void lines() const {
    for (std::size_t i = 0; i < panel_.lines.size(); ++i) band(i);
    for (std::size_t i = 0; i < panel_.lines.size(); ++i) line(i);
    for (std::size_t i = 0; i < panel_.lines.size(); ++i) markers(i);
  }

  void points() const {
    for (std::size_t i = 0; i < panel_.points.size(); ++i) {
      const auto& points = panel_.points[i];
      const auto colour = scatter_colour(i);
      for (std::size_t k = 0; k < std::min(points.x.size(), points.y.size()); ++k) {
        if (const auto at = place(points.x[k], points.y[k]))
          canvas_.disc(*at, points.radius, colour, 0.75);
      }
    }
  }

  void marks() const {
    const auto& f = layout_.frame;
    const Stroke stroke = {.colour = kGrey, .width = 1.2, .dashes = {5, 3}};
    for (const auto& mark : panel_.marks) {
      if (mark.x) {
        const double x = layout_.area.to_x(*mark.x);
        canvas_.polyline({{x, f.top}, {x, f.bottom()}}, stroke);
        const double width = canvas_.text_width(mark.label, {.size = 11});
        const bool fits = x + 8 + width < f.right();
        mark_label(mark.label, {fits ? x + 5 : x - 5 - width, f.top + 11}, width);
      }
      if (mark.y) {
        const double y = layout_.area.to_y(*mark.y);
        canvas_.polyline({{f.left, y}, {f.right(), y}}, stroke);
        const double width = canvas_.text_width(mark.label, {.size = 11});
        const double above = y - 9 > f.top + 6 ? y - 9 : y + 9;
        mark_label(mark.label, {f.right() - width - 5, above}, width);
      }
    }
  }

  void frame() const {
    const auto& f = layout_.frame;
    canvas_.outline(f, {.colour = kGrey, .width = 1});
    for (const auto& tick : layout_.x_ticks) {
      const double x = layout_.area.to_x(tick.at);
      const double length = tick.label.empty() ? 2.5 : 4.5;
      canvas_.polyline({{x, f.bottom()}, {x, f.bottom() + length}}, {.colour = kGrey});
      canvas_.text(tick.label, {x, f.bottom() + 15}, {.size = 11, .align = Align::centre});
    }
    double widest = 0;
    for (const auto& tick : layout_.y_ticks) {
      const double y = layout_.area.to_y(tick.at);
      const double length = tick.label.empty() ? 2.5 : 4.5;
      canvas_.polyline({{f.left - length, y}, {f.left, y}}, {.colour = kGrey});
      canvas_.text(tick.label, {f.left - 8, y}, {.size = 11, .align = Align::right});
      widest = std::max(widest, canvas_.text_width(tick.label, {.size = 11}));
    }
    const TextStyle label = {.size = 12, .align = Align::centre};
    canvas_.text(canvas_.shortened(panel_.x.label, layout_.cell.width - 20, label),
                 {f.left + f.width / 2, f.bottom() + 35}, label);
    auto turned = label;
    turned.upwards = true;
    canvas_.text(canvas_.shortened(panel_.y.label, f.height + 40, label),
                 {f.left - 8 - widest - 13, f.top + f.height / 2}, turned);
    if (!panel_.title.empty()) {
      const TextStyle title = {.size = 13, .bold = true, .align = Align::centre};
      canvas_.text(canvas_.shortened(panel_.title, layout_.cell.width - 24, title),
                   {layout_.cell.left + layout_.cell.width / 2, layout_.title_y}, title);
    }
  }

  void legend() const {
    double y = layout_.legend_top + 7;
    for (const auto& row : layout_.legend_rows) {
      double width = -kGap;
      for (const int entry : row)
        width += kSample + 6 + canvas_.text_width(entry_label(entry), {.size = 12}) + kGap;
      double x = layout_.cell.left + std::max(8.0, (layout_.cell.width - width) / 2);
      for (const int entry : row) {
        sample(entry, {x, y});
        canvas_.text(entry_label(entry), {x + kSample + 6, y}, {.size = 12});
        x += kSample + 6 + canvas_.text_width(entry_label(entry), {.size = 12}) + kGap;
      }
      y += kLegendRow;
    }
  }

 private:
  std::optional<Point> place(double x, double y) const {
    const bool drawn = std::isfinite(x) && std::isfinite(y) && (!layout_.area.x_log || x > 0) &&
                       (!layout_.area.y_log || y > 0);
    if (!drawn) return std::nullopt;
    const Point at = {layout_.area.to_x(x), layout_.area.to_y(y)};
    if (!std::isfinite(at.x) || !std::isfinite(at.y)) return std::nullopt;
    return at;
  }
  Colour scatter_colour(std::size_t i) const {
    const auto& points = panel_.points[i];
    return palette(points.colour.value_or(static_cast<int>(panel_.lines.size() + i)));
  }
  Stroke line_stroke(std::size_t i) const {
    const auto& line = panel_.lines[i];
    Stroke stroke = {.colour = line_colour(panel_, i), .width = line.width};
    const auto again = i / kPaletteSize;  // the palette's second round
    if (line.dashed || again == 1) stroke.dashes = {6, 3};
    if (again >= 2) stroke.dashes = {1.5, 3};
    return stroke;
  }
  // Pieces of the line without gaps.
  std::vector<std::vector<Point>> pieces(const Line& line) const {
    std::vector<std::vector<Point>> pieces;
    std::optional<Point> before;
    for (std::size_t k = 0; k < std::min(line.x.size(), line.y.size()); ++k) {
      const auto at = place(line.x[k], line.y[k]);
      if (at && before) {
        Point a = *before, b = *at;
        if (cut(a, b)) {
          const bool goes_on =
              !pieces.empty() && pieces.back().back().x == a.x && pieces.back().back().y == a.y;
          if (!goes_on) pieces.push_back({a});
          pieces.back().push_back(b);
        }
      }
      before = at;
    }
    return pieces;
  }
  void line(std::size_t i) const {
    const auto stroke = line_stroke(i);
    for (const auto& piece : pieces(panel_.lines[i])) {
      if (panel_.map)
        canvas_.polyline(piece, {.colour = kWhite, .width = stroke.width + 2, .alpha = 0.7});
      canvas_.polyline(piece, stroke);
    }
  }
  void band(std::size_t i) const {
    const auto& line = panel_.lines[i];
    const auto size = std::min({line.x.size(), line.low.size(), line.high.size()});
    Ring ring;
    const auto paint = [&](std::vector<Point>& low) {
      ring.insert(ring.end(), low.rbegin(), low.rend());
      if (ring.size() > 3) canvas_.fill({ring}, line_colour(panel_, i), 0.18);
      ring.clear();
      low.clear();
    };
    std::vector<Point> low;
    for (std::size_t k = 0; k < size; ++k) {
      const auto high_at = place(line.x[k], line.high[k]);
      // On a logarithmic axis a spread that reaches 0 ends at the frame.
      const bool sinks = layout_.area.y_log && line.low[k] <= 0;
      const auto low_at = place(line.x[k], sinks ? layout_.area.y_min : line.low[k]);
      if (!high_at || !low_at || std::abs(high_at->y) > kFar || std::abs(low_at->y) > kFar) {
        paint(low);
        continue;
      }
      ring.push_back(*high_at);
      low.push_back(*low_at);
    }
    paint(low);
  }
  void markers(std::size_t i) const {
    const auto& line = panel_.lines[i];
    if (line.marker == Marker::none) return;
    const auto colour = line_colour(panel_, i);
    const auto size = std::min(line.x.size(), line.y.size());
    // More dots than these hide the lines.
    const std::size_t most = line.marker == Marker::points || panel_.lines.size() <= 2 ? 100 : 0;
    for (std::size_t k = 0; k < size && size <= most; ++k) {
      if (const auto at = place(line.x[k], line.y[k])) canvas_.disc(*at, 2.2, colour);
    }
    if (line.marker != Marker::ends || size == 0) return;
    if (const auto at = place(line.x.front(), line.y.front())) {
      canvas_.disc(*at, 4.5, kWhite);
      canvas_.ring(*at, 4.5, {.colour = kBlack, .width = 1.5});
    }
    if (const auto at = place(line.x.back(), line.y.back())) {
      canvas_.disc(*at, 5.5, kWhite);
      canvas_.disc(*at, 4.2, colour);
    }
  }
  void mark_label(const std::string& label, Point at, double width) const {
    if (label.empty()) return;
    canvas_.fill({.left = at.x - 2, .top = at.y - 8, .width = width + 4, .height = 16}, kWhite,
                 0.8);
    canvas_.text(label, at, {.size = 11});
  }
  std::string entry_label(int entry) const {
    const auto i = static_cast<std::size_t>(entry);
    return i < panel_.lines.size() ? panel_.lines[i].label
                                   : panel_.points[i - panel_.lines.size()].label;
  }
  void sample(int entry, Point at) const {
    const auto i = static_cast<std::size_t>(entry);
    if (i >= panel_.lines.size()) {
      canvas_.disc({at.x + kSample / 2, at.y}, 3.5, scatter_colour(i - panel_.lines.size()));
      return;
    }
    auto stroke = line_stroke(i);
    stroke.width = std::max(stroke.width, 2.0);
    canvas_.polyline({at, {at.x + kSample, at.y}}, stroke);
    if (panel_.lines[i].marker != Marker::none)
      canvas_.disc({at.x + kSample / 2, at.y}, 3.2, stroke.colour);
  }
  void colour_bar() const {
    const auto& f = layout_.frame;
    const auto bands = layout_.levels.size() + 1;
    const Rect bar = {.left = f.right() + 14, .top = f.top, .width = 14, .height = f.height};
    const double step = bar.height / static_cast<double>(bands);
    double last = bar.bottom() + 100, widest = 0;
    for (std::size_t k = 0; k < bands; ++k) {
      const double top = bar.bottom() - static_cast<double>(k + 1) * step;
      // A little taller, so that no seam shows between the bands.
      const double height = k == 0 ? step : step + 0.5;
      canvas_.fill({.left = bar.left, .top = top, .width = bar.width, .height = height},
                   band_colour(k, bands));
      if (k + 1 == bands || last - top < 17) continue;
      const auto label = number_label(layout_.levels[k]);
      canvas_.text(label, {bar.right() + 6, top}, {.size = 11});
      widest = std::max(widest, canvas_.text_width(label, {.size = 11}));
      last = top;
    }
    canvas_.outline(bar, {.colour = kGrey, .width = 0.8});
    canvas_.text(panel_.map->label, {bar.right() + 6 + widest + 12, f.top + f.height / 2},
                 {.size = 12, .align = Align::centre, .upwards = true});
  }

  const Canvas& canvas_;
  const Panel& panel_;
  const PanelLayout& layout_;
};

}  // namespace

Colour band_colour(std::size_t k, std::size_t n) {
  const double t = n < 2 ? 0.5 : static_cast<double>(k) / static_cast<double>(n - 1);
  return mixed(viridis(t), kWhite, 0.42);
}

Colour line_colour(const Panel& panel, std::size_t line) {
  return palette(panel.lines[line].colour.value_or(static_cast<int>(line)));
}

void draw_lines(const Canvas& canvas, const Panel& panel, const PanelLayout& layout) {
  canvas.clipped(layout.frame, [&] { Drawing(canvas, panel, layout).lines(); });
}

void draw_panel(const Canvas& canvas, const Panel& panel, const PanelLayout& layout) {
  const Drawing drawing(canvas, panel, layout);
  drawing.grid();
  drawing.map();
  canvas.clipped(layout.frame, [&] {
    drawing.points();
    drawing.lines();
    drawing.marks();
  });
  drawing.frame();
  drawing.legend();
}

}  // namespace descent::plot
