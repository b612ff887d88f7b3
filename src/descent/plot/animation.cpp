#include "descent/plot/animation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "descent/base/file.h"
#include "descent/plot/canvas.h"
#include "descent/plot/gif.h"
#include "descent/plot/panel.h"

namespace descent::plot {
namespace {

constexpr double kTitle = 30;

struct Scene {
  double width = 0, height = 0;
  Rect cell;
  PanelLayout layout;
  std::size_t longest = 0;  // points of a line
};

Scene scene_of(const Animation& animation) {
  Scene scene;
  scene.width = animation.width > 0 ? animation.width : 640;
  scene.height = animation.height > 0 ? animation.height : 560;
  const double top = animation.title.empty() ? 0 : kTitle;
  scene.cell = {.left = 0, .top = top, .width = scene.width, .height = scene.height - top};
  // Texts are measured by drawing.
  render_pixels(1, 1, 1, [&](const Canvas& canvas) {
    scene.layout = lay_out(canvas, animation.panel, scene.cell);
  });
  for (const auto& line : animation.panel.lines)
    scene.longest = std::max(scene.longest, std::min(line.x.size(), line.y.size()));
  return scene;
}

// All but the lines' points; the legend stays.
void draw_still(const Canvas& canvas, const Animation& animation, const Scene& scene) {
  auto panel = animation.panel;
  for (auto& line : panel.lines) {
    line.x.clear();
    line.y.clear();
  }
  if (!animation.title.empty()) {
    const TextStyle style = {.size = 15, .bold = true, .align = Align::centre};
    canvas.text(canvas.shortened(animation.title, scene.width - 30, style), {scene.width / 2, 20},
                style);
  }
  draw_panel(canvas, panel, scene.layout);
}

void draw_frame(const Canvas& canvas, const Animation& animation, const Scene& scene,
                std::size_t reached) {
  auto panel = animation.panel;
  for (auto& line : panel.lines) {
    line.x.resize(std::min(line.x.size(), reached + 1));
    line.y.resize(std::min(line.y.size(), reached + 1));
  }
  draw_lines(canvas, panel, scene.layout);
  const auto text = fmt::format("{} {}", animation.unit, reached);
  const auto& frame = scene.layout.frame;
  const Point at = {frame.left + 12, frame.bottom() - 16};
  canvas.fill({.left = at.x - 5,
               .top = at.y - 10,
               .width = canvas.text_width(text, {.size = 12}) + 10,
               .height = 20},
              kWhite, 0.85);
  canvas.text(text, at, {.size = 12});
}

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string hex(const Colour& c) {
  const auto byte = [](double v) { return static_cast<int>(std::lround(255 * v)); };
  return fmt::format("#{:02x}{:02x}{:02x}", byte(c.red), byte(c.green), byte(c.blue));
}

// The lines in the picture's units, at the points that frames reach.
nlohmann::json line_data(const Animation& animation, const Scene& scene,
                         const std::vector<std::size_t>& frames) {
  auto lines = nlohmann::json::array();
  const auto& area = scene.layout.area;
  for (std::size_t i = 0; i < animation.panel.lines.size(); ++i) {
    const auto& line = animation.panel.lines[i];
    const auto size = std::min(line.x.size(), line.y.size());
    auto points = nlohmann::json::array(), values = nlohmann::json::array();
    for (const auto k : frames) {
      if (size == 0) break;
      const auto at = std::min(k, size - 1);
      const double x = area.to_x(line.x[at]), y = area.to_y(line.y[at]);
      constexpr double kFar = 1e5;  // it ran away
      if (!std::isfinite(x) || !std::isfinite(y) || std::abs(x) > kFar || std::abs(y) > kFar) break;
      points.push_back({std::round(x * 10) / 10, std::round(y * 10) / 10});
      if (i < animation.values.size() && at < animation.values[i].size())
        values.push_back(number_label(animation.values[i][at], 5));
      if (k >= size - 1) break;  // it has arrived
    }
    lines.push_back({{"label", line.label},
                     {"colour", hex(line_colour(animation.panel, i))},
                     {"points", points},
                     {"values", values}});
  }
  return lines;
}

// {0} title, {1} width, {2} height, {3} picture, {4} data, {5} clip rectangle.
constexpr const char* kPage = R"PAGE(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{0}</title>
<style>
body {{ margin: 0 auto; padding: 8px; max-width: {1}px; font: 15px sans-serif; color: #222; }}
.picture {{ position: relative; }}
.picture svg {{ display: block; width: 100%; height: auto; }}
.picture svg.paths {{ position: absolute; inset: 0; }}
.controls {{ display: flex; gap: 12px; align-items: center; margin: 8px; }}
.controls input {{ flex: 1; }}
button {{ font: inherit; padding: 6px 14px; min-width: 5em; }}
output {{ min-width: 9em; font-variant-numeric: tabular-nums; }}
table {{ margin: 8px; border-spacing: 12px 2px; }}
td:last-child {{ font-variant-numeric: tabular-nums; }}
.dot {{ display: inline-block; width: .8em; height: .8em; border-radius: 50%; }}
</style>
</head>
<body>
<div class="picture">
{3}
<svg class="paths" viewBox="0 0 {1} {2}" aria-hidden="true">
<defs><clipPath id="frame"><rect {5}/></clipPath></defs><g id="paths" clip-path="url(#frame)"></g>
</svg>
</div>
<div class="controls">
<button id="play">Play</button>
<input id="at" type="range" min="0" value="0" aria-label="frame">
<output id="told"></output>
</div>
<table><tbody id="values"></tbody></table>
<script>
const data = {4};
const get = id => document.getElementById(id), space = "http://www.w3.org/2000/svg";
function make(parent, name, attributes) {{
  const node = document.createElementNS(space, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return parent.appendChild(node);
}}
for (const line of data.lines) {{
  const common = {{fill: "none", "stroke-linejoin": "round"}};
  line.halo = make(get("paths"), "polyline", {{...common, stroke: "#fff", "stroke-width": 4, opacity: .7}});
  line.path = make(get("paths"), "polyline", {{...common, stroke: line.colour, "stroke-width": 2}});
}}
for (const line of data.lines) {{
  line.dot = make(get("paths"), "circle", {{r: 5, fill: line.colour, stroke: "#fff", "stroke-width": 1.5}});
  const row = get("values").insertRow(), dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = line.colour;
  row.insertCell().append(dot);
  row.insertCell().textContent = line.label;
  line.cell = row.insertCell();
}}
const slider = get("at"), button = get("play"), last = data.frames.length - 1;
let timer = null;
slider.max = last;
function show() {{
  const frame = Number(slider.value);
  get("told").textContent = data.unit + " " + data.frames[frame];
  for (const line of data.lines) {{
    const seen = line.points.slice(0, frame + 1);
    if (!seen.length) continue;
    for (const path of [line.halo, line.path]) path.setAttribute("points", seen.join(" "));
    const end = seen[seen.length - 1];
    line.dot.setAttribute("cx", end[0]);
    line.dot.setAttribute("cy", end[1]);
    line.cell.textContent = line.values.length ? line.values[Math.min(frame, line.values.length - 1)] : "";
  }}
}}
function stop() {{
  clearInterval(timer);
  timer = null;
  button.textContent = "Play";
}}
function play() {{
  if (Number(slider.value) >= last) slider.value = 0;
  button.textContent = "Pause";
  timer = setInterval(() => {{
    if (Number(slider.value) >= last) return stop();
    slider.value = Number(slider.value) + 1;
    show();
  }}, data.delay);
}}
button.onclick = () => timer ? stop() : play();
slider.oninput = () => {{ stop(); show(); }};
show();
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {{ slider.value = last; show(); }} else play();
</script>
</body>
</html>
)PAGE";

}  // namespace

std::vector<std::size_t> frame_points(std::size_t size, int frames) {
  constexpr std::size_t kMany = 200;
  return thinned(size, static_cast<std::size_t>(std::max(2, frames)), size > kMany);
}

std::string Animation::gif() const {
  constexpr double kScale = 1;
  const auto scene = scene_of(*this);
  const auto still = render_pixels(scene.width, scene.height, kScale,
                                   [&](const Canvas& canvas) { draw_still(canvas, *this, scene); });
  std::vector<Pixels> pictures;
  for (const auto reached : frame_points(scene.longest, frames)) {
    pictures.push_back(render_pixels(
        scene.width, scene.height, kScale,
        [&](const Canvas& canvas) { draw_frame(canvas, *this, scene, reached); }, &still));
  }
  if (pictures.empty()) pictures.push_back(still);
  // Browsers slow down what is faster than 50 pictures a second.
  const int hundredths = static_cast<int>(
      std::lround(100 * seconds / static_cast<double>(std::max<std::size_t>(1, pictures.size()))));
  return encode_gif(pictures, std::clamp(hundredths, 2, 50));
}

std::string Animation::html() const {
  constexpr int kSmooth = 8;  // frames cost little here
  const auto scene = scene_of(*this);
  auto picture = render_svg(scene.width, scene.height, title,
                            [&](const Canvas& canvas) { draw_still(canvas, *this, scene); });
  picture.erase(0, picture.find("<svg"));
  // The page sets the size.
  const auto box = fmt::format("<svg viewBox=\"0 0 {} {}\" ", scene.width, scene.height);
  const auto tag_end = picture.find('>');
  picture.replace(0, tag_end,
                  box +
                      "xmlns=\"http://www.w3.org/2000/svg\" "
                      "xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\"");
  const auto reached = frame_points(scene.longest, kSmooth * frames);
  const double delay =
      1000 * seconds / static_cast<double>(std::max<std::size_t>(1, reached.size()));
  const nlohmann::json data = {{"unit", unit},
                               {"frames", reached},
                               {"delay", std::clamp(delay, 15.0, 400.0)},
                               {"lines", line_data(*this, scene, reached)}};
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;)
    text.replace(at, 1, "\\u003c");
  const auto& f = scene.layout.frame;
  const auto clip =
      fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", f.left, f.top, f.width, f.height);
  return fmt::format(fmt::runtime(kPage), html_escaped(title), scene.width, scene.height, picture,
                     text, clip);
}

void Animation::save(const std::string& path) const {
  require_format(path, {"gif", "html"}, "");
  write_file_atomic(path, path.ends_with('f') || path.ends_with('F') ? gif() : html());
}

}  // namespace descent::plot
