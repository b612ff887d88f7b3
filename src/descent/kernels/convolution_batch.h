// What the loops of convolution_batch_loops.cpp, compiled for each target, are given and give.
//
// A vector holds one number of as many images as it has lanes. So channels may be few, and kernels,
// strides, padding and dilation do not matter to the loops: an image is a list of vectors, a window
// begins at the offset of its place, and its elements lie at the offsets of the taps.
#pragma once
#include <array>
#include <cstdint>

namespace descent::kernels {

// out[place p][column j] (=, or +=) sum over l of x[place p][l] w[l][j], for all places and a block
// of columns. Offsets count elements: x[place p][l] is the vector at x_places[p] + x_steps[l], and
// out[place p][column j] the one at out_places[p] + out_steps[j]. w is dense.
struct BatchSweep {
  const float* x;
  const std::int64_t *x_places, *x_steps;
  const float* w;
  float* out;
  const std::int64_t *out_places, *out_steps;
  std::int64_t depth, places;
};

// sums[filter][tap] += sum over places of x[place][tap] g[place][filter], vectors all of them, for
// a block of filters and as many taps as it takes; of `taps` that are left. The filters of a place
// lie side by side in g, the places at g_step.
struct BatchSums {
  const float* x;
  const std::int64_t *x_places, *x_steps;
  const float* g;
  std::int64_t g_step;
  float* sums;
  std::int64_t taps, places;
};

struct BatchLoops {
  std::int64_t lanes;
  // y[j * y_step + i] = x[i * image + j] for i < images, j < columns; zeros for the other lanes i.
  void (*turn_in)(const float* x, std::int64_t image, std::int64_t images, std::int64_t columns,
                  float* y, std::int64_t y_step);
  // y[i * image + j] = x[j * x_step + i] for i < images, j < columns.
  void (*turn_out)(const float* x, std::int64_t x_step, std::int64_t images, std::int64_t columns,
                   float* y, std::int64_t image);
  // Sets the first lanes of n vectors to 0.
  void (*clear)(float* x, std::int64_t n, std::int64_t lanes);
  // By columns of the block, 1 ..; the first `most_columns` are there.
  std::int64_t most_columns;
  std::array<void (*)(const BatchSweep&), 8> set, add;
  // By filters of the block, 1 ..; the first `most_filters` are there, with the taps that each
  // takes.
  std::int64_t most_filters;
  std::array<void (*)(const BatchSums&), 6> sums;
  std::array<std::int64_t, 6> taps;
  // The sum of the lanes of each of n vectors at x, to y[to[i]].
  void (*lane_sums)(const float* x, std::int64_t n, float* y, const std::int64_t* to);
};
const BatchLoops& batch_loops();

}  // namespace descent::kernels
