#include "descent/track/series.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace descent::track {
namespace {

double value_at(std::int64_t i) { return std::sin(static_cast<double>(i) * 0.01); }

TEST(Series, KeepsAFewPointsAsTheyAre) {
  Series series(100);
  for (int i = 0; i < 40; ++i) series.add({static_cast<double>(i), 0, value_at(i)});
  const auto points = series.points();
  ASSERT_EQ(points.size(), 40U);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(points[static_cast<std::size_t>(i)].value, value_at(i));
}

TEST(Series, ThinsManyPointsAndKeepsTheExtremesTheFirstAndTheLast) {
  for (const std::int64_t count : {51, 99, 100, 101, 1000, 12345, 100000}) {
    Series series(100);
    for (std::int64_t i = 0; i < count; ++i) {
      const double spike = i == count / 3 ? 50 : i == count / 2 ? -50 : 0;
      series.add({static_cast<double>(i), 1, value_at(i) + spike});
    }
    const auto points = series.points();
    EXPECT_LE(points.size(), 102U) << count;
    EXPECT_GE(points.size(), 50U) << count;
    EXPECT_TRUE(std::ranges::is_sorted(points, std::ranges::less{}, &Point::step)) << count;
    EXPECT_EQ(points.front().step, 0);
    EXPECT_EQ(points.back().step, static_cast<double>(count - 1));
    EXPECT_GT(std::ranges::max(points, {}, &Point::value).value, 48) << count;
    EXPECT_LT(std::ranges::min(points, {}, &Point::value).value, -48) << count;
  }
}

// Equally dense everywhere, however long it goes on.
TEST(Series, IsEvenlyDense) {
  Series series(100);
  for (int i = 0; i < 50000; ++i) series.add({static_cast<double>(i), 0, value_at(i * 100)});
  const auto points = series.points();
  const auto early = std::ranges::count_if(points, [](const Point& p) { return p.step < 25000; });
  const auto late = std::ssize(points) - early;
  EXPECT_LE(std::max(early, late), 2 * std::min(early, late));
}

TEST(Series, GoesBack) {
  for (const int count : {30, 5000}) {
    Series series(100);
    for (int i = 0; i < count; ++i) series.add({static_cast<double>(i), 0, value_at(i)});
    series.rewind(20);
    EXPECT_LE(series.points().back().step, 20);
    EXPECT_EQ(series.points().front().step, 0);
    for (int i = 21; i < count; ++i) series.add({static_cast<double>(i), 0, value_at(i)});
    const auto points = series.points();
    EXPECT_TRUE(std::ranges::is_sorted(points, std::ranges::less{}, &Point::step));
    EXPECT_EQ(points.back().step, count - 1);
    EXPECT_LE(points.size(), 102U);
  }
  Series series;
  series.add({5, 0, 1});
  series.rewind(4);
  EXPECT_TRUE(series.empty());
}

TEST(Series, ANumberStandsForAStretchWhereSomeAreNone) {
  Series series(8);
  for (int i = 0; i < 64; ++i) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    series.add({static_cast<double>(i), 0, i % 2 == 0 ? nan : 1});
  }
  const auto points = series.points();
  const auto found = std::ranges::count_if(points, [](const Point& p) { return p.value == 1; });
  EXPECT_GE(found, 4);
}

}  // namespace
}  // namespace descent::track
