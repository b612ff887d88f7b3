// Layout of a panel: ranges of the axes from the data, ticks, and the room that labels need.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <span>

#include "descent/plot/contour.h"
#include "descent/plot/panel.h"

namespace descent::plot {
namespace {

constexpr TextStyle kTickText = {.size = 11};
constexpr double kLegendRow = 19, kSample = 24, kGap = 18;

struct Range {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  void add(double v, bool log) {
    if (!std::isfinite(v) || (log && v <= 0)) return;
    min = std::min(min, v);
    max = std::max(max, v);
  }
  void add(std::span<const double> values, bool log) {
    for (const double v : values) add(v, log);
  }
};

// Room around the data, except where the axis says its end.
Range padded(Range range, const Axis& axis, double share) {
  if (range.min > range.max) range = axis.log ? Range{0.1, 1} : Range{0, 1};
  if (axis.log) {
    if (range.min == range.max) range = {range.min / 2, range.max * 2};
    const double factor = std::pow(range.max / range.min, share);
    range = {range.min / factor, range.max * factor};
  } else {
    // Rounding alone gives no picture: what differs in the last digits is one line.
    const double least = std::max(std::abs(range.min), std::abs(range.max)) * 1e-12;
    if (range.max - range.min <= least) {
      const double half = range.min == 0 ? 0.5 : 0.1 * std::abs(range.min);
      range = {range.min - half, range.max + half};
    }
    const double room = share * (range.max - range.min);
    range = {range.min - room, range.max + room};
  }
  if (axis.min && (!axis.log || *axis.min > 0)) range.min = *axis.min;
  if (axis.max && (!axis.log || *axis.max > 0)) range.max = *axis.max;
  if (!(range.max > range.min)) range.max = axis.log ? range.min * 10 : range.min + 1;
  return range;
}

Range x_range(const Panel& panel) {
  const bool log = panel.x.log;
  Range range;
  if (panel.map) {
    range.add(panel.map->x, log);
    return padded(range, panel.x, 0);
  }
  for (const auto& line : panel.lines) range.add(line.x, log);
  for (const auto& points : panel.points) range.add(points.x, log);
  for (const auto& mark : panel.marks) {
    if (mark.x) range.add(*mark.x, log);
  }
  return padded(range, panel.x, 0.02);
}

Range y_range(const Panel& panel) {
  const bool log = panel.y.log;
  Range range;
  if (panel.map) {
    range.add(panel.map->y, log);
    return padded(range, panel.y, 0);
  }
  for (const auto& line : panel.lines) {
    for (const auto* values : {&line.y, &line.low, &line.high}) range.add(*values, log);
  }
  for (const auto& points : panel.points) range.add(points.y, log);
  for (const auto& mark : panel.marks) {
    if (mark.y) range.add(*mark.y, log);
  }
  return padded(range, panel.y, 0.05);
}

std::vector<Tick> ticks_of(const Axis& axis, const Range& range, double length, double spacing) {
  const int about = std::max(2, static_cast<int>(length / spacing));
  return axis.log ? log_ticks(range.min, range.max, about)
                  : linear_ticks(range.min, range.max, about, axis.whole);
}

double widest(const Canvas& canvas, const std::vector<Tick>& ticks) {
  double width = 0;
  for (const auto& tick : ticks) width = std::max(width, canvas.text_width(tick.label, kTickText));
  return width;
}

std::vector<std::vector<int>> legend_rows(const Canvas& canvas, const Panel& panel, double width) {
  std::vector<std::string> labels;
  for (const auto& line : panel.lines) labels.push_back(line.label);
  for (const auto& points : panel.points) labels.push_back(points.label);
  std::vector<std::vector<int>> rows;
  double used = width + 1;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].empty()) continue;
    const double needed = kSample + 6 + canvas.text_width(labels[i], {.size = 12}) + kGap;
    if (used + needed > width + kGap) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(static_cast<int>(i));
    used += needed;
  }
  return rows;
}

}  // namespace

PanelLayout lay_out(const Canvas& canvas, const Panel& panel, const Rect& cell) {
  PanelLayout layout;
  layout.cell = cell;
  if (panel.map)
    layout.levels =
        panel.map->levels.empty() ? contour_levels(panel.map->value) : panel.map->levels;
  layout.legend_rows = legend_rows(canvas, panel, cell.width - 40);
  double top = cell.top + 12;
  if (!panel.title.empty()) {
    layout.title_y = top + 4;
    top += 24;
  }
  layout.legend_top = top;
  top += kLegendRow * static_cast<double>(layout.legend_rows.size());
  if (!layout.legend_rows.empty()) top += 4;
  const double bottom = cell.bottom() - (panel.x.label.empty() ? 30 : 50);
  const Range xs = x_range(panel), ys = y_range(panel);
  const double height = std::max(20.0, bottom - top);
  layout.y_ticks = ticks_of(panel.y, ys, height, 55);
  const double left =
      cell.left + 14 + widest(canvas, layout.y_ticks) + 8 + (panel.y.label.empty() ? 0 : 20);
  double right = cell.right() - 18;
  if (panel.map) {
    double labels = 0;
    for (const double level : layout.levels)
      labels = std::max(labels, canvas.text_width(number_label(level), kTickText));
    right -= 14 + 14 + 6 + labels + (panel.map->label.empty() ? 0 : 18);
  }
  const double width = std::max(20.0, right - left);
  layout.x_ticks = ticks_of(panel.x, xs, width, 80);
  // Labels that would touch are thinned out.
  const double room = widest(canvas, layout.x_ticks) + 12;
  if (room > 80) layout.x_ticks = ticks_of(panel.x, xs, width, room);
  layout.frame = {.left = left, .top = top, .width = width, .height = height};
  layout.area = {.left = left,
                 .top = top,
                 .width = width,
                 .height = height,
                 .x_min = xs.min,
                 .x_max = xs.max,
                 .y_min = ys.min,
                 .y_max = ys.max,
                 .x_log = panel.x.log,
                 .y_log = panel.y.log};
  return layout;
}

}  // namespace descent::plot
