// A long series of measurements as at most about `limit` points that show the same curve: the
// smallest and the largest value of equally long stretches, in order.
#pragma once
#include <cstdint>
#include <vector>

namespace descent::track {

struct Point {
  double step = 0, seconds = 0, value = 0;
};

class Series {
 public:
  explicit Series(std::size_t limit = 2000) : limit_(limit) {}
  void add(const Point& point);
  // Drops what was added of later steps.
  void rewind(double step);
  // First and last point are always among them.
  std::vector<Point> points() const;
  bool empty() const { return count_ == 0; }

 private:
  // A stretch of points: its extremes, which may be one and the same.
  struct Stretch {
    Point low, high;
    void take(const Point& point);
    void take(const Stretch& other);
  };
  static void append(std::vector<Point>& to, const Stretch& stretch);
  void halve();

  std::size_t limit_;
  std::int64_t length_ = 1;  // points of a stretch
  std::int64_t count_ = 0;   // points so far
  std::vector<Stretch> stretches_;
  Point first_, last_;
};

}  // namespace descent::track
