#include "descent/plot/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>

#include "descent/base/error.h"

namespace descent::plot {
namespace {

struct DestroySurface {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
using Surface = std::unique_ptr<cairo_surface_t, DestroySurface>;

cairo_status_t append(void* text, const unsigned char* bytes, unsigned length) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), length);
  return CAIRO_STATUS_SUCCESS;
}

void require(cairo_status_t status) {
  if (status != CAIRO_STATUS_SUCCESS)
    throw Error(ErrorKind::internal,
                fmt::format("cannot draw a figure: {}", cairo_status_to_string(status)));
}

void draw_on(cairo_surface_t* surface, double width, double height, double scale, const Draw& draw,
             bool white = true) {
  const std::unique_ptr<cairo_t, decltype(&cairo_destroy)> cairo(cairo_create(surface),
                                                                 &cairo_destroy);
  cairo_scale(cairo.get(), scale, scale);
  // Text has the same extents in every format.
  const std::unique_ptr<cairo_font_options_t, decltype(&cairo_font_options_destroy)> options(
      cairo_font_options_create(), &cairo_font_options_destroy);
  cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(cairo.get(), options.get());
  cairo_set_line_join(cairo.get(), CAIRO_LINE_JOIN_ROUND);
  const Canvas canvas(cairo.get());
  if (white) canvas.fill({.left = 0, .top = 0, .width = width, .height = height}, kWhite);
  draw(canvas);
  require(cairo_status(cairo.get()));
}

Surface draw_image(double width, double height, double scale, const Draw& draw,
                   const Pixels* under = nullptr) {
  Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                             static_cast<int>(std::lround(width * scale)),
                                             static_cast<int>(std::lround(height * scale))));
  require(cairo_surface_status(surface.get()));
  if (under != nullptr) {
    auto* rows = cairo_image_surface_get_data(surface.get());
    const int stride = cairo_image_surface_get_stride(surface.get());
    for (int y = 0; y < under->height; ++y) {
      const auto* row = under->rgb.data() + std::ptrdiff_t{y} * under->width;
      std::memcpy(rows + std::ptrdiff_t{y} * stride, row,
                  static_cast<std::size_t>(under->width) * sizeof(*row));
    }
    cairo_surface_mark_dirty(surface.get());
  }
  draw_on(surface.get(), width, height, scale, draw, under == nullptr);
  cairo_surface_flush(surface.get());
  return surface;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (static_cast<unsigned char>(c) >= 0x20U) {
      out += c;
    }
  }
  return out;
}

}  // namespace

Canvas::Canvas(_cairo* cairo) : cairo_(cairo) {}

void Canvas::font(const TextStyle& style) const {
  cairo_select_font_face(cairo_, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo_, style.size);
}

double Canvas::text_width(const std::string& text, const TextStyle& style) const {
  font(style);
  cairo_text_extents_t extents;
  cairo_text_extents(cairo_, text.c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(const std::string& text, Point at, const TextStyle& style) const {
  const double width = text_width(text, style);
  const double share = style.align == Align::left ? 0 : style.align == Align::centre ? 0.5 : 1;
  // Figures and capitals are about 0.72 of the size high.
  const double drop = 0.36 * style.size;
  cairo_save(cairo_);
  cairo_translate(cairo_, at.x, at.y);
  if (style.upwards) cairo_rotate(cairo_, -std::numbers::pi / 2);
  cairo_set_source_rgb(cairo_, style.colour.red, style.colour.green, style.colour.blue);
  cairo_move_to(cairo_, -share * width, drop);
  cairo_show_text(cairo_, text.c_str());
  cairo_restore(cairo_);
  cairo_new_path(cairo_);
}

std::string Canvas::shortened(const std::string& text, double width, const TextStyle& style) const {
  if (text_width(text, style) <= width) return text;
  std::string cut = text;
  while (!cut.empty() && text_width(cut + "...", style) > width) {
    do {
      cut.pop_back();
    } while (!cut.empty() && (static_cast<unsigned char>(cut.back()) & 0x80U) != 0);
  }
  return cut + "...";
}

void Canvas::fill(const Rect& rect, const Colour& colour, double alpha) const {
  cairo_set_source_rgba(cairo_, colour.red, colour.green, colour.blue, alpha);
  cairo_rectangle(cairo_, rect.left, rect.top, rect.width, rect.height);
  cairo_fill(cairo_);
}

void Canvas::stroke(const Stroke& stroke) const {
  cairo_set_source_rgba(cairo_, stroke.colour.red, stroke.colour.green, stroke.colour.blue,
                        stroke.alpha);
  cairo_set_line_width(cairo_, stroke.width);
  cairo_set_dash(cairo_, stroke.dashes.data(), static_cast<int>(stroke.dashes.size()), 0);
  cairo_stroke(cairo_);
}

void Canvas::outline(const Rect& rect, const Stroke& s) const {
  cairo_rectangle(cairo_, rect.left, rect.top, rect.width, rect.height);
  stroke(s);
}

void Canvas::polyline(const std::vector<Point>& points, const Stroke& s) const {
  if (points.empty()) return;
  cairo_move_to(cairo_, points[0].x, points[0].y);
  for (const auto& p : points) cairo_line_to(cairo_, p.x, p.y);
  stroke(s);
}

void Canvas::path(const Ring& ring) const {
  if (ring.empty()) return;
  cairo_move_to(cairo_, ring[0].x, ring[0].y);
  for (const auto& p : ring) cairo_line_to(cairo_, p.x, p.y);
  cairo_close_path(cairo_);
}

void Canvas::fill(const std::vector<Ring>& rings, const Colour& colour, double alpha) const {
  for (const auto& ring : rings) path(ring);
  cairo_set_source_rgba(cairo_, colour.red, colour.green, colour.blue, alpha);
  cairo_fill(cairo_);
}

void Canvas::outline(const std::vector<Ring>& rings, const Stroke& s) const {
  for (const auto& ring : rings) path(ring);
  stroke(s);
}

void Canvas::disc(Point centre, double radius, const Colour& colour, double alpha) const {
  cairo_new_sub_path(cairo_);
  cairo_arc(cairo_, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  cairo_set_source_rgba(cairo_, colour.red, colour.green, colour.blue, alpha);
  cairo_fill(cairo_);
}

void Canvas::ring(Point centre, double radius, const Stroke& s) const {
  cairo_new_sub_path(cairo_);
  cairo_arc(cairo_, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  stroke(s);
}

void Canvas::clipped(const Rect& rect, const std::function<void()>& draw) const {
  cairo_save(cairo_);
  cairo_rectangle(cairo_, rect.left, rect.top, rect.width, rect.height);
  cairo_clip(cairo_);
  draw();
  cairo_restore(cairo_);
}

std::string render_svg(double width, double height, const std::string& title, const Draw& draw) {
  std::string text;
  {
    const Surface surface(cairo_svg_surface_create_for_stream(append, &text, width, height));
    require(cairo_surface_status(surface.get()));
    cairo_svg_surface_set_document_unit(surface.get(), CAIRO_SVG_UNIT_PX);
    draw_on(surface.get(), width, height, 1, draw);
    cairo_surface_finish(surface.get());
    require(cairo_surface_status(surface.get()));
  }
  // What a screen reader says.
  const auto tag = text.find("<svg");
  const auto end = tag == std::string::npos ? tag : text.find('>', tag);
  if (end != std::string::npos && !title.empty())
    text.insert(end + 1, "\n<title>" + escaped(title) + "</title>");
  return text;
}

std::string render_png(double width, double height, double scale, const Draw& draw) {
  const auto surface = draw_image(width, height, scale, draw);
  std::string bytes;
  require(cairo_surface_write_to_png_stream(surface.get(), append, &bytes));
  return bytes;
}

Pixels render_pixels(double width, double height, double scale, const Draw& draw,
                     const Pixels* under) {
  const auto surface = draw_image(width, height, scale, draw, under);
  Pixels pixels = {.width = cairo_image_surface_get_width(surface.get()),
                   .height = cairo_image_surface_get_height(surface.get()),
                   .rgb = {}};
  const auto* rows = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int y = 0; y < pixels.height; ++y) {
    const auto* row = reinterpret_cast<const std::uint32_t*>(rows + std::ptrdiff_t{y} * stride);
    for (int x = 0; x < pixels.width; ++x) pixels.rgb.push_back(row[x] & 0xFFFFFFU);
  }
  return pixels;
}

}  // namespace descent::plot
