#include "descent/plot/figure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/plot/canvas.h"
#include "descent/plot/panel.h"

namespace descent::plot {
namespace {

constexpr double kTitle = 30;

struct Grid {
  double width = 0, height = 0;
  std::vector<Rect> cells;
};

Grid grid_of(const Figure& figure) {
  const int panels = std::max(1, static_cast<int>(figure.panels.size()));
  const int columns = std::min(panels, figure.columns > 0 ? figure.columns : 3);
  const int rows = (panels + columns - 1) / columns;
  const bool maps =
      std::ranges::any_of(figure.panels, [](const auto& p) { return p.map.has_value(); });
  const double top = figure.title.empty() ? 0 : kTitle;
  Grid grid;
  grid.width = figure.width > 0 ? figure.width : 640.0 * columns;
  grid.height = figure.height > 0 ? figure.height : (maps ? 540.0 : 420.0) * rows + top;
  const double width = grid.width / columns, height = (grid.height - top) / rows;
  for (int k = 0; k < panels; ++k) {
    const int row = k / columns, column = k % columns;
    grid.cells.push_back(
        {.left = column * width, .top = top + row * height, .width = width, .height = height});
  }
  return grid;
}

void draw(const Canvas& canvas, const Figure& figure, const Grid& grid) {
  if (!figure.title.empty()) {
    const TextStyle style = {.size = 15, .bold = true, .align = Align::centre};
    canvas.text(canvas.shortened(figure.title, grid.width - 30, style), {grid.width / 2, 20},
                style);
  }
  for (std::size_t k = 0; k < figure.panels.size(); ++k)
    draw_panel(canvas, figure.panels[k], lay_out(canvas, figure.panels[k], grid.cells[k]));
}

std::string extension(const std::string& path) {
  auto text = std::filesystem::path(path).extension().string();
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.empty() ? text : text.substr(1);
}

double share(double v, double min, double max, bool log) {
  return log ? std::log(v / min) / std::log(max / min) : (v - min) / (max - min);
}

}  // namespace

double PanelArea::to_x(double x) const { return left + width * share(x, x_min, x_max, x_log); }
double PanelArea::to_y(double y) const {
  return top + height * (1 - share(y, y_min, y_max, y_log));
}

std::string Figure::svg() const {
  const auto grid = grid_of(*this);
  const auto& name = title.empty() && !panels.empty() ? panels[0].title : title;
  return render_svg(grid.width, grid.height, name,
                    [&](const Canvas& canvas) { draw(canvas, *this, grid); });
}

std::string Figure::png(double pixels_per_unit) const {
  const auto grid = grid_of(*this);
  return render_png(grid.width, grid.height, pixels_per_unit,
                    [&](const Canvas& canvas) { draw(canvas, *this, grid); });
}

std::vector<PanelArea> Figure::areas() const {
  const auto grid = grid_of(*this);
  std::vector<PanelArea> areas;
  // Texts are measured by drawing.
  render_pixels(1, 1, 1, [&](const Canvas& canvas) {
    for (std::size_t k = 0; k < panels.size(); ++k)
      areas.push_back(lay_out(canvas, panels[k], grid.cells[k]).area);
  });
  return areas;
}

void Figure::save(const std::string& path) const {
  require_format(path, {"svg", "png"}, "");
  write_file_atomic(path, extension(path) == "svg" ? svg() : png());
}

void require_format(const std::string& path, const std::vector<std::string>& formats,
                    const std::string& where) {
  if (std::ranges::find(formats, extension(path)) != formats.end()) return;
  std::vector<std::string> endings;
  for (const auto& format : formats) endings.push_back("." + format);
  throw Error(ErrorKind::usage, fmt::format("\"{}\" names no format that can be written", path),
              where,
              fmt::format("give the file a name that ends in {}", fmt::join(endings, " or ")));
}

std::vector<std::size_t> thinned(std::size_t size, std::size_t most, bool early) {
  std::vector<std::size_t> kept;
  if (size <= most || most < 2) {
    for (std::size_t i = 0; i < size; ++i) kept.push_back(i);
    return kept;
  }
  const double last = static_cast<double>(size - 1);
  for (std::size_t k = 0; k < most; ++k) {
    const double t = static_cast<double>(k) / static_cast<double>(most - 1);
    const auto at =
        static_cast<std::size_t>(std::llround(early ? std::expm1(t * std::log1p(last)) : t * last));
    if (kept.empty() || at > kept.back()) kept.push_back(at);
  }
  return kept;
}

}  // namespace descent::plot
