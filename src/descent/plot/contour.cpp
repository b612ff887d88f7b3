#include "descent/plot/contour.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "descent/base/error.h"

namespace descent::plot {
namespace {

// The grid with a border of nodes that count as below every level and lie where the outermost real
// nodes lie: so every ring closes.
class Padded {
 public:
  Padded(const ContourMap& map, double level) : map_(map), level_(level) {}
  std::size_t width() const { return map_.x.size() + 2; }
  std::size_t height() const { return map_.y.size() + 2; }
  double x(std::size_t i) const { return map_.x[inside(i, map_.x.size())]; }
  double y(std::size_t j) const { return map_.y[inside(j, map_.y.size())]; }
  bool above(std::size_t i, std::size_t j) const {
    const double v = value(i, j);
    return std::isfinite(v) && v >= level_;
  }
  double value(std::size_t i, std::size_t j) const {
    const bool border = i == 0 || j == 0 || i > map_.x.size() || j > map_.y.size();
    return border ? std::numeric_limits<double>::quiet_NaN()
                  : map_.value[(j - 1) * map_.x.size() + i - 1];
  }
  // Where the level lies between two neighbours.
  Point crossing(std::size_t i, std::size_t j, std::size_t k, std::size_t l) const {
    const double a = value(i, j), b = value(k, l);
    const bool both = std::isfinite(a) && std::isfinite(b);
    const double t = both && a != b ? std::clamp((level_ - a) / (b - a), 0.0, 1.0) : 0.5;
    return {x(i) + t * (x(k) - x(i)), y(j) + t * (y(l) - y(j))};
  }
  // Of a cell whose corners alternate: are its two high corners joined through the middle?
  bool joined(std::size_t i, std::size_t j) const {
    double total = 0;
    for (const auto& [k, l] : {std::pair{i, j}, {i + 1, j}, {i, j + 1}, {i + 1, j + 1}}) {
      if (!std::isfinite(value(k, l))) return false;
      total += value(k, l);
    }
    return total / 4 >= level_;
  }

 private:
  static std::size_t inside(std::size_t i, std::size_t size) {
    return std::clamp<std::size_t>(i, 1, size) - 1;
  }
  const ContourMap& map_;
  double level_;
};

// Edges of a cell, in the order bottom, right, top, left.
enum Edge { kBottom, kRight, kTop, kLeft };
using Segment = std::pair<Edge, Edge>;

// The segments of a cell by its corners (1 lower left, 2 lower right, 4 upper right, 8 upper left),
// each with the high side on its left.
std::vector<Segment> segments(unsigned corners, bool joined) {
  switch (corners) {
    case 1:
      return {{kBottom, kLeft}};
    case 2:
      return {{kRight, kBottom}};
    case 3:
      return {{kRight, kLeft}};
    case 4:
      return {{kTop, kRight}};
    case 5:
      if (joined) return {{kBottom, kRight}, {kTop, kLeft}};
      return {{kBottom, kLeft}, {kTop, kRight}};
    case 6:
      return {{kTop, kBottom}};
    case 7:
      return {{kTop, kLeft}};
    case 8:
      return {{kLeft, kTop}};
    case 9:
      return {{kBottom, kTop}};
    case 10:
      if (joined) return {{kRight, kTop}, {kLeft, kBottom}};
      return {{kRight, kBottom}, {kLeft, kTop}};
    case 11:
      return {{kRight, kTop}};
    case 12:
      return {{kLeft, kRight}};
    case 13:
      return {{kBottom, kRight}};
    case 14:
      return {{kLeft, kBottom}};
    default:
      return {};
  }
}

}  // namespace

std::vector<Ring> contour_rings(const ContourMap& map, double level) {
  if (map.x.size() < 2 || map.y.size() < 2 || map.value.size() != map.x.size() * map.y.size())
    throw Error(ErrorKind::internal, fmt::format("a map of {} by {} points with {} values",
                                                 map.x.size(), map.y.size(), map.value.size()));
  const Padded grid(map, level);
  const std::size_t width = grid.width(), nodes = width * grid.height();
  constexpr auto kNone = static_cast<std::size_t>(-1);
  // Horizontal edges by their left node, then vertical ones by their lower node. Neighbouring cells
  // agree on a segment's direction, so each crossing leads on to exactly one other.
  std::vector<std::size_t> next(2 * nodes, kNone);
  const auto edge = [&](std::size_t i, std::size_t j, Edge e) {
    switch (e) {
      case kBottom:
        return j * width + i;
      case kTop:
        return (j + 1) * width + i;
      case kLeft:
        return nodes + j * width + i;
      default:
        return nodes + j * width + i + 1;
    }
  };
  for (std::size_t j = 0; j + 1 < grid.height(); ++j) {
    for (std::size_t i = 0; i + 1 < width; ++i) {
      const unsigned corners = (grid.above(i, j) ? 1U : 0U) | (grid.above(i + 1, j) ? 2U : 0U) |
                               (grid.above(i + 1, j + 1) ? 4U : 0U) |
                               (grid.above(i, j + 1) ? 8U : 0U);
      const bool alternate = corners == 5 || corners == 10;
      for (const auto& [from, to] : segments(corners, alternate && grid.joined(i, j)))
        next[edge(i, j, from)] = edge(i, j, to);
    }
  }
  const auto place = [&](std::size_t e) {
    const std::size_t node = e % nodes, i = node % width, j = node / width;
    return e < nodes ? grid.crossing(i, j, i + 1, j) : grid.crossing(i, j, i, j + 1);
  };
  std::vector<Ring> rings;
  for (std::size_t start = 0; start < next.size(); ++start) {
    if (next[start] == kNone) continue;
    Ring ring;
    for (std::size_t at = start; next[at] != kNone;) {
      const Point point = place(at);
      if (ring.empty() || ring.back().x != point.x || ring.back().y != point.y)
        ring.push_back(point);
      at = std::exchange(next[at], kNone);
    }
    rings.push_back(std::move(ring));
  }
  return rings;
}

std::vector<double> contour_levels(const std::vector<double>& values, int count) {
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite),
                       [](double v) { return std::isfinite(v); });
  if (finite.empty()) return {};
  std::ranges::sort(finite);
  const double least = finite.front(), span = finite.back() - least;
  if (!(span > 0)) return {};
  const auto quantile = [&](double p) {
    return finite[static_cast<std::size_t>(p * static_cast<double>(finite.size() - 1))] - least;
  };
  // Evenly in log(v - least + c), where c is what the lowest hundredth of the map lies within. What
  // the top percent reaches (a wall, a pole) takes no levels.
  const double c = std::max(quantile(0.01), span * 1e-9), top = std::max(quantile(0.99), c);
  const double growth = std::log((top + c) / c);
  std::vector<double> levels;
  for (int k = 1; k <= count; ++k) {
    const double rise = c * std::expm1(growth * k / (count + 1));
    // Two digits of the rise are enough, and read well.
    const double unit = std::pow(10.0, std::floor(std::log10(rise)) - 1);
    const double shift = std::abs(least) < unit ? 0 : std::round(least / unit) * unit;
    const double level = shift + std::round(rise / unit) * unit;
    if (level > least && level < finite.back() && (levels.empty() || level > levels.back()))
      levels.push_back(level);
  }
  return levels;
}

}  // namespace descent::plot
