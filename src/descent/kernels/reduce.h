// Reductions and data movement on dense row-major arrays. Sums run in a fixed order that depends on
// the shape only (pairwise over blocks), so that threads never change a bit.
#pragma once
#include <cstdint>
#include <vector>

#include "descent/base/dtype.h"
#include "descent/base/shape.h"

namespace descent::kernels {

enum class Reduction { sum, max, min };

// x viewed as [outer, n, inner] is reduced over n to [outer, inner]. float32 sums accumulate in
// float32, pairwise over blocks of rows (inner > 1) or over vector lanes and blocks (inner == 1).
// Types: float32, float64, int32, int64. NaN propagates through max and min.
using ReduceFn = void (*)(const void* x, void* out, std::int64_t outer, std::int64_t n,
                          std::int64_t inner);
ReduceFn reduce_kernel(Reduction kind, DType dtype);

// What one target has of it.
struct StreamFunctions {
  void (*add)(void* state, const void* x, std::int64_t inner, std::int64_t elements);
  void (*finish)(void* state, void* out, std::int64_t inner);
};

// A sum over rows, [n, inner] to [inner], taken piece by piece: the bits of reduce_kernel(sum) over
// the whole. Every piece but the last has a multiple of `grain` elements.
struct SumStream {
  static constexpr std::int64_t kRows = 32;  // or vectors of lanes: summed one after the other
  static constexpr std::size_t kHead = 64;   // bytes before the sums of a state

  std::int64_t n = 0, inner = 1;
  DType dtype = DType::float32;  // float32 or float64
  std::int64_t grain() const;
  std::size_t state_bytes() const;
  void begin(void* state) const;
  void add(void* state, const void* x, std::int64_t elements) const;
  void finish(void* state, void* out) const;
};

// Sums of each channel of images [n, c, places] in the order in which reduce_kernel takes the rows
// of [n * places, c]: the same bits as with channels last. float32, float64.
void channel_sum(const void* x, void* out, std::int64_t n, std::int64_t c, std::int64_t places,
                 DType dtype);

// Index (int64) of the largest (smallest) of each row of n, the first of equals; NaN counts as
// largest.
void arg_max(const void* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
             std::int64_t inner, DType dtype);

// out (dense, of `out_shape`) [i] = x[offset + sum_k i_k strides_k], strides in elements of
// `element_bytes` bytes: transposes, slices and broadcasts. Copies runs at once where the last
// stride is 1, and tiles 2-D transposes.
void strided_copy(const void* x, void* out, const Shape& out_shape,
                  const std::vector<std::int64_t>& strides, std::int64_t offset,
                  std::size_t element_bytes);
// The reverse: out[offset + sum_k i_k strides_k] = x (dense, of `x_shape`): pads and
// concatenations.
void strided_store(const void* x, void* out, const Shape& x_shape,
                   const std::vector<std::int64_t>& strides, std::int64_t offset,
                   std::size_t element_bytes);

// out[i, :] = table[index[i], :], rows of `row` elements; and out[index[i], :] += g[i, :] into a
// zeroed table, in order of i. The caller has checked that indices are in range.
void gather_rows(const void* table, const std::int64_t* index, void* out, std::int64_t count,
                 std::int64_t row, DType dtype);
void scatter_add_rows(const void* g, const std::int64_t* index, void* out, std::int64_t count,
                      std::int64_t row, DType dtype);

// Uniform floats on [0, 1): element i of stream `stream` of `key` (Philox; base/random.h).
void random_uniform(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n,
                    void* out, DType dtype);

}  // namespace descent::kernels
