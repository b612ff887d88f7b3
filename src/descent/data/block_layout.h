// How the elements of one row of a block belong to channels that are normalised apart.
#pragma once
#include <cstdint>

#include "descent/base/array.h"

namespace descent::data {

// Element j of a row belongs to channel j / inner; a row has channels * inner elements.
// Columns of [rows, columns] are channels; [rows, channels, height, width] has its own; uint8 of
// rank 2 (flat images) and everything else is one channel.
struct BlockLayout {
  std::int64_t channels = 1, inner = 1;

  BlockLayout(const Shape& sample, bool uint8) {
    inner = sample.size();
    if ((sample.rank() == 1 && !uint8) || sample.rank() == 3) {
      channels = sample[0];
      inner = channels == 0 ? 0 : sample.size() / channels;
    }
  }
  // One channel for everything.
  void merge() {
    inner = size();
    channels = 1;
  }
  std::int64_t size() const { return channels * inner; }
};

// Shape of one row's features; a block [rows] has rows of one feature.
inline Shape sample_shape_of(const Array& block) {
  const auto& dims = block.shape().dims();
  if (dims.size() == 1) return {1};
  return Shape(std::vector<std::int64_t>(dims.begin() + 1, dims.end()));
}

}  // namespace descent::data
