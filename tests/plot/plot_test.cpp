// Contours of known functions, ticks, and files that are what their names say.
#include <gif_lib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numbers>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/plot/animation.h"
#include "descent/plot/contour.h"
#include "descent/plot/figure.h"
#include "descent/plot/gif.h"
#include "descent/plot/palette.h"
#include "descent/plot/ticks.h"

namespace descent::plot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ContourMap map_of(double (*f)(double, double), double low, double high, int cells = 100) {
  ContourMap map;
  for (int i = 0; i <= cells; ++i) {
    map.x.push_back(low + (high - low) * i / cells);
    map.y.push_back(low + (high - low) * i / cells);
  }
  for (const double y : map.y) {
    for (const double x : map.x) map.value.push_back(f(x, y));
  }
  return map;
}

// Positive where the region is on the left: counter-clockwise.
double area(const Ring& ring) {
  double twice = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const auto &a = ring[i], &b = ring[(i + 1) % ring.size()];
    twice += a.x * b.y - b.x * a.y;
  }
  return twice / 2;
}
double area(const std::vector<Ring>& rings) {
  double total = 0;
  for (const auto& ring : rings) total += area(ring);
  return total;
}

double bowl(double x, double y) { return x * x + y * y; }

TEST(ContourTest, ACircleLiesOnTheCircle) {
  const auto rings =
      contour_rings(map_of([](double x, double y) { return -bowl(x, y); }, -2, 2), -1);
  ASSERT_EQ(rings.size(), 1U);
  // Linear interpolation in cells of 0.04: an error of h^2 / 8 times the curvature 2, over the
  // slope 2.
  for (const auto& p : rings[0]) EXPECT_NEAR(std::hypot(p.x, p.y), 1, 2.1e-4);
  EXPECT_NEAR(area(rings), std::numbers::pi, 4e-3);
}

TEST(ContourTest, TheRegionOutsideACircleGoesAlongTheEdge) {
  const auto rings = contour_rings(map_of(bowl, -2, 2), 1);
  EXPECT_EQ(rings.size(), 2U);
  EXPECT_NEAR(area(rings), 16 - std::numbers::pi, 4e-3);
}

TEST(ContourTest, ALevelBelowAllIsTheWholeMapAndOneAboveAllNothing) {
  const auto map = map_of(bowl, -2, 2, 10);
  EXPECT_NEAR(area(contour_rings(map, -1)), 16, 1e-12);
  EXPECT_TRUE(contour_rings(map, 9).empty());
}

TEST(ContourTest, ASaddleIsDecidedByItsMiddle) {
  // One cell, high corners on the diagonal; the mean is 0.5.
  const ContourMap map = {.x = {0, 1}, .y = {0, 1}, .value = {1, 0, 0, 1}};
  EXPECT_EQ(contour_rings(map, 0.4).size(), 1U);  // joined through the middle
  EXPECT_EQ(contour_rings(map, 0.6).size(), 2U);  // apart
}

TEST(ContourTest, WhatIsNotFiniteIsLeftOut) {
  auto map = map_of(bowl, -2, 2, 40);
  map.value[20 * 41 + 20] = std::nan("");
  map.value[3] = HUGE_VAL;
  const double whole = area(contour_rings(map, std::numeric_limits<double>::lowest()));
  EXPECT_LT(whole, 16 - 0.005);
  EXPECT_GT(whole, 16 - 0.05);
}

TEST(ContourTest, LevelsAreCloserTogetherTowardsTheMinimum) {
  const auto map = map_of(
      [](double x, double y) { return 100 * std::pow(y - x * x, 2) + std::pow(1 - x, 2); }, -2, 2);
  const auto levels = contour_levels(map.value);
  ASSERT_GE(levels.size(), 10U);
  ASSERT_LE(levels.size(), 14U);
  for (std::size_t k = 2; k < levels.size(); ++k)
    EXPECT_GT(levels[k] - levels[k - 1], 0.99 * (levels[k - 1] - levels[k - 2]));
  EXPECT_TRUE(contour_levels({1, 1, 1}).empty());
  EXPECT_TRUE(contour_levels({std::nan("")}).empty());
}

std::vector<std::string> labels(const std::vector<Tick>& ticks) {
  std::vector<std::string> all;
  for (const auto& tick : ticks) {
    if (!tick.label.empty()) all.push_back(tick.label);
  }
  return all;
}

TEST(TicksTest, LinearStepsAreOneTwoOrFive) {
  EXPECT_THAT(labels(linear_ticks(0, 1, 5)), ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1"));
  EXPECT_THAT(labels(linear_ticks(-1.3, 2.2, 4)), ElementsAre("-1", "0", "1", "2"));
  EXPECT_THAT(labels(linear_ticks(0, 45, 5)), ElementsAre("0", "10", "20", "30", "40"));
  EXPECT_THAT(labels(linear_ticks(0, 2, 10, true)), ElementsAre("0", "1", "2"));
  EXPECT_THAT(labels(linear_ticks(100, 100.02, 4)),
              ElementsAre("100", "100.005", "100.01", "100.015", "100.02"));
  EXPECT_THAT(labels(linear_ticks(0, 3e7, 3)),
              ElementsAre("0", "10\u2077", "2\u00d710\u2077", "3\u00d710\u2077"));
}

TEST(TicksTest, LogarithmicOnesArePowersOfTen) {
  EXPECT_THAT(labels(log_ticks(0.01, 100, 6)), ElementsAre("0.01", "0.1", "1", "10", "100"));
  EXPECT_THAT(labels(log_ticks(1e-12, 1, 4)), ElementsAre("10\u207b\u00b9\u00b2", "10\u207b\u2079",
                                                          "10\u207b\u2076", "0.001", "1"));
  EXPECT_THAT(labels(log_ticks(1, 30, 5)), ElementsAre("1", "2", "5", "10", "20"));
}

TEST(TicksTest, NumbersForPeople) {
  EXPECT_EQ(number_label(0), "0");
  EXPECT_EQ(number_label(-0.25), "-0.25");
  EXPECT_EQ(number_label(123456), "123500");
  EXPECT_EQ(number_label(1.5e-7), "1.5\u00d710\u207b\u2077");
  EXPECT_EQ(number_label(1e10), "10\u00b9\u2070");
  EXPECT_EQ(number_label(std::nan("")), "nan");
}

TEST(PaletteTest, ViridisGrowsLighterEvenly) {
  double before = -1;
  for (int k = 0; k <= 20; ++k) {
    const auto c = viridis(k / 20.0);
    const double light = 0.2126 * c.red + 0.7152 * c.green + 0.0722 * c.blue;
    EXPECT_GT(light, before);
    before = light;
  }
  EXPECT_EQ(viridis(-3).red, viridis(0).red);
  EXPECT_EQ(viridis(std::nan("")).red, viridis(0).red);
}

TEST(ThinnedTest, KeepsTheFirstAndTheLast) {
  for (const bool early : {false, true}) {
    const auto kept = thinned(100'000, 50, early);
    EXPECT_LE(kept.size(), 50U);
    EXPECT_EQ(kept.front(), 0U);
    EXPECT_EQ(kept.back(), 99'999U);
    EXPECT_TRUE(std::ranges::is_sorted(kept, std::less_equal<>()));
  }
  EXPECT_THAT(thinned(3, 50), ElementsAre(0, 1, 2));
  EXPECT_TRUE(thinned(0, 50).empty());
}

Figure figure_of_everything() {
  Panel map = {
      .title = "map", .x = {.label = "x"}, .y = {.label = "y"}, .map = map_of(bowl, -2, 2)};
  map.lines.push_back({.label = "path",
                       .x = {-1, 0.5, std::nan(""), 1e300},
                       .y = {1, 0.25, 0, -1e300},
                       .marker = Marker::ends});
  Panel curves = {.x = {.label = "step", .whole = true}, .y = {.label = "loss", .log = true}};
  curves.lines.push_back({.label = "a < b & c",
                          .x = {0, 1, 2, 3},
                          .y = {1, 0.1, 0, -1},
                          .low = {0.5, 0.05, -1, 0},
                          .high = {2, 0.2, 0.1, 0.1},
                          .dashed = true});
  curves.points.push_back({.label = "points", .x = {1, 2}, .y = {0.5, 0.6}});
  curves.marks = {{.x = 2.5, .label = "here"}, {.y = 0.3, .label = "goal"}};
  return {.title = "a < b & \"c\"", .panels = {map, curves, Panel{}}};
}

TEST(FigureTest, ASvgIsXmlWithAnEscapedTitle) {
  const auto svg = figure_of_everything().svg();
  EXPECT_THAT(svg, StartsWith("<?xml"));
  EXPECT_THAT(svg, HasSubstr("<title>a &lt; b &amp; \"c\"</title>"));
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  const auto path = std::filesystem::temp_directory_path() / "descent_plot_test.svg";
  write_file_atomic(path.string(), svg);
  const auto command =
      "python3 -c \"import sys, xml.dom.minidom as d; d.parse(sys.argv[1])\" " + path.string();
  EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(concurrency-mt-unsafe)
  std::filesystem::remove(path);
}

// Width and height stand in the header of a PNG.
std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t n = 0;
  for (std::size_t i = 0; i < 4; ++i) n = n << 8U | static_cast<unsigned char>(bytes.at(at + i));
  return n;
}

TEST(FigureTest, APngHasTwiceThePixels) {
  auto figure = figure_of_everything();
  figure.width = 900;
  figure.height = 300;
  const auto png = figure.png();
  EXPECT_THAT(png, StartsWith("\x89PNG\r\n\x1a\n"));
  EXPECT_EQ(big_endian(png, 16), 1800U);
  EXPECT_EQ(big_endian(png, 20), 600U);
  EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");
}

TEST(FigureTest, AreasMapDataToThePicture) {
  auto figure = figure_of_everything();
  const auto areas = figure.areas();
  ASSERT_EQ(areas.size(), 3U);
  EXPECT_DOUBLE_EQ(areas[0].to_x(-2), areas[0].left);
  EXPECT_DOUBLE_EQ(areas[0].to_y(-2), areas[0].top + areas[0].height);
  EXPECT_TRUE(areas[1].y_log);
  EXPECT_GT(areas[1].left, areas[0].left + areas[0].width);
}

TEST(FigureTest, TheNameChoosesTheFormat) {
  const auto folder = std::filesystem::temp_directory_path();
  const auto path = (folder / "descent_plot_test.PNG").string();
  figure_of_everything().save(path);
  EXPECT_THAT(read_file(path), StartsWith("\x89PNG"));
  std::filesystem::remove(path);
  for (const auto* name : {"figure.jpg", "figure", "svg"}) {
    try {
      figure_of_everything().save((folder / name).string());
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.remedy(), HasSubstr(".svg or .png"));
    }
  }
}

Animation animation_of(int points) {
  Animation animation = {.title = "a < b", .panel = {.map = map_of(bowl, -2, 2, 20)}, .frames = 10};
  Line line = {.label = "</script>", .marker = Marker::ends}, other = {.label = "other"};
  for (int i = 0; i < points; ++i) {
    line.x.push_back(2 * std::exp(-0.1 * i));
    line.y.push_back(1.5 * std::cos(i));
    if (i < points / 2) other.x.push_back(-line.x.back());
    if (i < points / 2) other.y.push_back(line.y.back());
  }
  animation.panel.lines = {line, other};
  animation.values = {line.x, other.x};
  return animation;
}

// Reads a GIF from a text.
struct Reader {
  const std::string& bytes;
  std::size_t at = 0;
  static int read(GifFileType* gif, GifByteType* to, int count) {
    auto* self = static_cast<Reader*>(gif->UserData);
    const auto taken = std::min(static_cast<std::size_t>(count), self->bytes.size() - self->at);
    std::copy_n(self->bytes.begin() + static_cast<std::ptrdiff_t>(self->at), taken, to);
    self->at += taken;
    return static_cast<int>(taken);
  }
};

TEST(AnimationTest, AGifHasItsFrames) {
  const auto bytes = animation_of(30).gif();
  EXPECT_THAT(bytes, StartsWith("GIF89a"));
  EXPECT_THAT(bytes, HasSubstr("NETSCAPE2.0"));
  Reader reader{.bytes = bytes};
  int error = 0;
  GifFileType* gif = DGifOpen(&reader, Reader::read, &error);
  ASSERT_NE(gif, nullptr);
  EXPECT_EQ(DGifSlurp(gif), GIF_OK);
  EXPECT_EQ(gif->ImageCount, 10);
  EXPECT_EQ(gif->SWidth, 640);
  // The first is the whole picture; the others are what changed.
  EXPECT_EQ(gif->SavedImages[0].ImageDesc.Width, 640);
  EXPECT_LT(gif->SavedImages[9].ImageDesc.Width, 640);
  DGifCloseFile(gif, &error);
}

TEST(AnimationTest, FlatColoursSurviveThePalette) {
  // Two frames of four colours come back exactly.
  const Pixels a = {.width = 2, .height = 2, .rgb = {0xFF0000, 0x00FF00, 0x0000FF, 0x123456}};
  Pixels b = a;
  b.rgb[3] = 0xFF0000;
  const auto bytes = encode_gif({a, b}, 5);
  Reader reader{.bytes = bytes};
  int error = 0;
  GifFileType* gif = DGifOpen(&reader, Reader::read, &error);
  ASSERT_NE(gif, nullptr);
  ASSERT_EQ(DGifSlurp(gif), GIF_OK);
  ASSERT_EQ(gif->ImageCount, 2);
  const auto colour = [&](int image, int pixel) {
    const auto& c = gif->SColorMap->Colors[gif->SavedImages[image].RasterBits[pixel]];
    return static_cast<std::uint32_t>(c.Red << 16 | c.Green << 8 | c.Blue);
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(colour(0, i), a.rgb[static_cast<std::size_t>(i)]);
  EXPECT_EQ(gif->SavedImages[1].ImageDesc.Width, 1);
  EXPECT_EQ(gif->SavedImages[1].ImageDesc.Left, 1);
  EXPECT_EQ(gif->SavedImages[1].ImageDesc.Top, 1);
  EXPECT_EQ(colour(1, 0), 0xFF0000U);
  DGifCloseFile(gif, &error);
}

TEST(AnimationTest, AnHtmlPageNeedsNothingElse) {
  const auto html = animation_of(1000).html();
  EXPECT_THAT(html, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(html, HasSubstr("<title>a &lt; b</title>"));
  EXPECT_THAT(html, HasSubstr("\\u003c/script>"));  // a label ends no script
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_THAT(html, Not(HasSubstr("href=\"http")));
  EXPECT_LT(html.size(), 1'000'000U);
}

TEST(AnimationTest, FramesReachTheEnd) {
  EXPECT_THAT(frame_points(3, 60), ElementsAre(0, 1, 2));
  const auto many = frame_points(10'000, 60);
  EXPECT_EQ(many.back(), 9'999U);
  EXPECT_EQ(many[1], 1U);  // the begin is shown slowly
}

}  // namespace
}  // namespace descent::plot
