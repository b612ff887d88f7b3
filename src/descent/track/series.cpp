#include "descent/track/series.h"

#include <cmath>

namespace descent::track {

// A value that is no number gives way to any that is one.
void Series::Stretch::take(const Point& point) {
  if (std::isnan(low.value) || point.value < low.value) low = point;
  if (std::isnan(high.value) || point.value > high.value) high = point;
}

void Series::Stretch::take(const Stretch& other) {
  take(other.low);
  take(other.high);
}

void Series::add(const Point& point) {
  if (count_ == 0) first_ = point;
  last_ = point;
  if (count_ % length_ == 0) {
    if (2 * stretches_.size() >= limit_) halve();
    // After halving, the last stretch may have room left.
    if (count_ % length_ == 0) {
      stretches_.push_back({point, point});
    } else {
      stretches_.back().take(point);
    }
  } else {
    stretches_.back().take(point);
  }
  ++count_;
}

void Series::halve() {
  std::vector<Stretch> merged;
  merged.reserve(limit_);
  for (std::size_t i = 0; i < stretches_.size(); ++i) {
    if (i % 2 == 0) {
      merged.push_back(stretches_[i]);
    } else {
      merged.back().take(stretches_[i]);
    }
  }
  stretches_ = std::move(merged);
  length_ *= 2;
}

void Series::rewind(double step) {
  while (!stretches_.empty()) {
    auto& [low, high] = stretches_.back();
    if (low.step <= step && high.step <= step) break;
    if (low.step > step && high.step > step) {
      stretches_.pop_back();
    } else {
      (low.step > step ? low : high) = low.step > step ? high : low;
    }
  }
  if (stretches_.empty() && count_ > 0 && first_.step <= step)
    stretches_.push_back({first_, first_});
  // The last stretch counts as full, so that the next point begins another.
  count_ = std::ssize(stretches_) * length_;
  if (stretches_.empty()) return;
  const auto& [low, high] = stretches_.back();
  last_ = low.step > high.step ? low : high;
}

void Series::append(std::vector<Point>& to, const Stretch& stretch) {
  const bool rises = stretch.low.step <= stretch.high.step;
  to.push_back(rises ? stretch.low : stretch.high);
  if (stretch.low.step != stretch.high.step) to.push_back(rises ? stretch.high : stretch.low);
}

std::vector<Point> Series::points() const {
  std::vector<Point> all;
  if (count_ == 0) return all;
  all.reserve(2 * stretches_.size() + 2);
  for (const auto& stretch : stretches_) append(all, stretch);
  if (all.front().step != first_.step) all.insert(all.begin(), first_);
  if (all.back().step != last_.step) all.push_back(last_);
  return all;
}

}  // namespace descent::track
