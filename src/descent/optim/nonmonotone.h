// The reference of a line search that lets the value rise for a while: the largest of the last
// few. Grippo, Lampariello & Lucidi 1986.
#pragma once
#include <algorithm>
#include <deque>

namespace descent::optim {

class Reference {
 public:
  explicit Reference(std::int64_t memory) : memory_(memory) {}
  void add(double value) {
    values_.push_back(value);
    if (std::ssize(values_) > memory_) values_.pop_front();
  }
  double value() const { return *std::ranges::max_element(values_); }

 private:
  std::int64_t memory_;
  std::deque<double> values_;
};

}  // namespace descent::optim
