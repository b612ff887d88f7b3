#include "descent/cli/minimize_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/optim/evaluator.h"

namespace descent::cli {
namespace {

constexpr std::size_t kMostPoints = 2000;  // of a line: more are not seen

struct Interval {
  double min = 0, max = 0;
  double size() const { return max - min; }
  void add(double v) {
    min = std::min(min, v);
    max = std::max(max, v);
  }
};

double value_at(const optim::Objective& objective, const std::vector<double>& x) {
  optim::Vector at(std::ssize(x));
  for (std::size_t i = 0; i < x.size(); ++i) at[static_cast<Eigen::Index>(i)] = x[i];
  return objective.evaluator->value(at);
}

// All that the best method visits (but for its widest hundredth: a step that went astray), and what
// the others visit near there; a path that runs away does not drag the picture with it.
Interval visited(const std::vector<Trace>& traces, std::size_t axis) {
  const Trace* best = &traces[0];
  for (const auto& trace : traces) {
    const bool better = trace.found.value < best->found.value || best->diverged();
    if (!trace.diverged() && better) best = &trace;
  }
  std::vector<double> along;
  for (const auto& point : best->points) along.push_back(point[axis]);
  std::ranges::sort(along);
  const double start = traces[0].points[0][axis];
  Interval core = {start, start};
  const std::size_t cut = along.size() / 100;
  core.add(along[cut]);
  core.add(along[along.size() - 1 - cut]);
  if (!best->diverged()) core.add(best->found.x[axis]);
  const double reach = core.size();
  Interval all = core;
  for (const auto& trace : traces) {
    for (const auto& point : trace.points) {
      const double v = point[axis];
      if (v >= core.min - reach && v <= core.max + reach) all.add(v);
    }
  }
  return all;
}

Interval window(const Problem& problem, const std::vector<Trace>& traces, std::size_t axis) {
  auto range = visited(traces, axis);
  if (axis * 2 + 1 < problem.window.size()) {
    range.add(problem.window[2 * axis]);
    range.add(problem.window[2 * axis + 1]);
    return range;
  }
  const double room = 0.2 * (range.size() > 0 ? range.size() : std::abs(range.min) + 1);
  return {range.min - room, range.max + room};
}

plot::Line path(const Trace& trace, std::size_t x, std::optional<std::size_t> y) {
  plot::Line line = {.label = trace.method, .marker = plot::Marker::ends};
  for (const auto k : plot::thinned(trace.points.size(), kMostPoints, true)) {
    line.x.push_back(trace.points[k][x]);
    line.y.push_back(y ? trace.points[k][*y] : trace.rows[k].value);
  }
  return line;
}

plot::Panel map_panel(const Problem& problem, const optim::Objective& objective,
                      const std::vector<Trace>& traces) {
  constexpr int kGrid = 200;
  const auto labels = problem.labels();
  auto xs = window(problem, traces, 0), ys = window(problem, traces, 1);
  if (problem.window.empty()) {  // a path along one axis still has surroundings
    const double least = 0.4 * std::max(xs.size(), ys.size());
    for (auto* range : {&xs, &ys}) {
      const double more = std::max(0.0, least - range->size()) / 2;
      *range = {range->min - more, range->max + more};
    }
  }
  plot::ContourMap map = {.label = "value"};
  for (int i = 0; i <= kGrid; ++i) {
    map.x.push_back(xs.min + xs.size() * i / kGrid);
    map.y.push_back(ys.min + ys.size() * i / kGrid);
  }
  for (const double y : map.y) {
    for (const double x : map.x) map.value.push_back(value_at(objective, {x, y}));
  }
  plot::Panel panel = {.x = {.label = labels[0]}, .y = {.label = labels[1]}, .map = std::move(map)};
  for (const auto& trace : traces) panel.lines.push_back(path(trace, 0, 1));
  return panel;
}

plot::Panel curve_panel(const Problem& problem, const optim::Objective& objective,
                        const std::vector<Trace>& traces) {
  constexpr int kPoints = 400;
  const auto xs = window(problem, traces, 0);
  plot::Line curve = {.label = "value", .colour = 6, .width = 1.4};  // black
  for (int i = 0; i <= kPoints; ++i) {
    curve.x.push_back(xs.min + xs.size() * i / kPoints);
    curve.y.push_back(value_at(objective, {curve.x.back()}));
  }
  plot::Panel panel = {.x = {.label = problem.labels()[0], .min = xs.min, .max = xs.max},
                       .y = {.label = "value"}};
  panel.lines.push_back(std::move(curve));
  for (std::size_t i = 0; i < traces.size(); ++i) {
    auto line = path(traces[i], 0, std::nullopt);
    line.colour = static_cast<int>(i);
    line.width = 1.2;
    panel.lines.push_back(std::move(line));
  }
  // What a diverging method reaches is not in the picture.
  Interval seen = {panel.lines[0].y[0], panel.lines[0].y[0]};
  for (const double v : panel.lines[0].y) {
    if (std::isfinite(v)) seen.add(v);
  }
  const double room = 0.08 * (seen.size() > 0 ? seen.size() : 1);
  panel.y.min = seen.min - room;
  panel.y.max = seen.max + room;
  return panel;
}

// How far above the lowest value that any method found; where that is 0 the logarithm has a gap.
plot::Panel value_panel(const std::vector<Trace>& traces, bool evaluations) {
  double least = std::numeric_limits<double>::infinity();
  double lowest_drawn = least;
  for (const auto& trace : traces) {
    for (const auto& row : trace.rows) {
      if (std::isfinite(row.value)) least = std::min(least, row.value);
      if (row.value > 0) lowest_drawn = std::min(lowest_drawn, row.value);
    }
  }
  const bool positive = least >= 0;  // usually a sum of squares: its own value says more
  plot::Panel panel = {
      .x = {.label = evaluations ? "evaluations of the function" : "iteration", .whole = true},
      .y = {.label = positive ? "value" : "value above the lowest found", .log = true}};
  std::int64_t most = 0;
  for (const auto& trace : traces) {
    plot::Line line = {.label = trace.method};
    for (const auto k : plot::thinned(trace.rows.size(), kMostPoints, true)) {
      const auto& row = trace.rows[k];
      line.x.push_back(static_cast<double>(evaluations ? row.evaluations : row.iteration));
      line.y.push_back(positive ? row.value : row.value - least);
      most = std::max(most, evaluations ? row.evaluations : row.iteration);
    }
    panel.lines.push_back(std::move(line));
  }
  // Methods of 30 and of 10,000 iterations in one picture.
  constexpr std::int64_t kLong = 300;
  if (traces.size() > 1 && most > kLong) panel.x.log = true;
  // What lies below rounding is noise.
  constexpr double kFloor = 1e-20;
  if (std::isfinite(lowest_drawn) && lowest_drawn < kFloor) panel.y.min = kFloor;
  return panel;
}

bool has_paths(const std::vector<Trace>& traces) {
  return std::ranges::all_of(traces, [](const auto& trace) { return !trace.points.empty(); });
}

std::string title_of(const Problem& problem) {
  const auto& formula = problem.formula.text();
  constexpr std::size_t kShort = 60;
  if (problem.title == formula || formula.size() > kShort) return problem.title;
  return problem.title + ": " + formula;
}

}  // namespace

plot::Figure draw_minimization(const Problem& problem, const optim::Objective& objective,
                               const std::vector<Trace>& traces) {
  plot::Figure figure = {.title = title_of(problem)};
  if (problem.size() > 2 || !has_paths(traces)) {
    figure.panels.push_back(value_panel(traces, traces.size() > 1));
    if (traces.size() == 1) figure.panels[0].lines[0].label = "";
    if (traces.size() == 1) figure.panels[0].title = traces[0].method;
    return figure;
  }
  figure.panels.push_back(problem.size() == 1 ? curve_panel(problem, objective, traces)
                                              : map_panel(problem, objective, traces));
  if (traces.size() > 1) {
    auto values = value_panel(traces, true);
    if (problem.size() == 1) {  // the same colours in both panels
      for (std::size_t i = 0; i < traces.size(); ++i)
        values.lines[i].colour = figure.panels[0].lines[i + 1].colour;
    }
    figure.panels.push_back(std::move(values));
  }
  return figure;
}

plot::Animation animate_minimization(const Problem& problem, const optim::Objective& objective,
                                     const std::vector<Trace>& traces) {
  if (problem.size() > 2)
    throw Error(ErrorKind::usage,
                fmt::format("{} variables cannot be animated, one or two can", problem.size()),
                "--animate", "--plot draws the values");
  plot::Animation animation = {.title = title_of(problem)};
  if (problem.size() == 2) {
    animation.panel = map_panel(problem, objective, traces);
  } else {
    // The curve stands still: a map of no lines would hide it, so it is drawn as points.
    animation.panel = curve_panel(problem, objective, traces);
    auto& lines = animation.panel.lines;
    animation.panel.points.push_back(
        {.label = "value", .x = lines[0].x, .y = lines[0].y, .colour = 6, .radius = 1});
    lines.erase(lines.begin());
  }
  // Frames count iterations, so no line may be thinned.
  for (std::size_t i = 0; i < traces.size(); ++i) {
    auto& line = animation.panel.lines[i];
    line.x.clear();
    line.y.clear();
    animation.values.emplace_back();
    for (std::size_t k = 0; k < traces[i].points.size(); ++k) {
      line.x.push_back(traces[i].points[k][0]);
      line.y.push_back(problem.size() == 2 ? traces[i].points[k][1] : traces[i].rows[k].value);
      animation.values.back().push_back(traces[i].rows[k].value);
    }
  }
  return animation;
}

}  // namespace descent::cli
