// How the elements of a broadcast input repeat along the row-major elements of a larger shape.
#pragma once
#include <cstdint>
#include <vector>

#include "descent/base/shape.h"

namespace descent::kernels {

class BroadcastPattern {
 public:
  BroadcastPattern() = default;
  // `from` must be broadcastable to `to`.
  BroadcastPattern(const Shape& from, const Shape& to, std::size_t element_bytes);

  bool dense() const { return dense_; }  // element i is element i
  // Elements after which the pattern starts again (the whole size if it never does).
  std::int64_t period() const { return period_; }
  std::size_t element_bytes() const { return element_; }

  // fill() may write this many elements too many.
  static constexpr std::int64_t kSlack = 16;
  // to[i] = element first + i of the broadcast input, i < count.
  void fill(const void* from, std::int64_t first, std::int64_t count, void* to) const;
  // The first `count` elements, whole periods copied from each other.
  void repeat(const void* from, std::int64_t count, void* to) const;
  // As fill(), but without a copy where these elements lie behind each other in `from`: their
  // address, or that of `to`.
  const void* find(const void* from, std::int64_t first, std::int64_t count, void* to) const;

 private:
  struct Axis {
    std::int64_t extent, step;  // step in elements of the input; 0: repeated
  };
  template <class E>
  void fill_as(const E* from, std::int64_t first, std::int64_t count, E* to) const;
  template <class E>
  void fill_columns(const E* from, std::int64_t first, std::int64_t count, E* to) const;

  std::vector<Axis> axes_;  // innermost first; neighbours that behave alike are joined
  std::int64_t period_ = 1;
  std::size_t element_ = 4;
  bool dense_ = true;
};

}  // namespace descent::kernels
