// Copies between dense and strided arrays, and rows picked by index.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "descent/base/error.h"
#include "descent/kernels/reduce.h"
#include "descent/kernels/transpose.h"

namespace descent::kernels {
namespace {

constexpr int kMaxRank = 16;  // after collapsing

struct Axis {
  std::int64_t extent, strided, dense;  // steps in elements on either side
};
struct Axes {
  std::array<Axis, kMaxRank> axis;
  int rank = 0;
  bool empty = false;
};

// Drops extents of 1 and joins neighbours that lie behind each other in both arrays.
Axes collapse(const Shape& shape, const std::vector<std::int64_t>& strides) {
  Axes axes;
  std::int64_t dense = 1;
  for (int k = shape.rank() - 1; k >= 0; --k) {  // innermost first, turned round below
    const std::int64_t extent = shape[k], stride = strides[static_cast<std::size_t>(k)];
    if (extent == 0) axes.empty = true;
    if (extent == 1) continue;
    if (axes.rank > 0 &&
        axes.axis[axes.rank - 1].strided * axes.axis[axes.rank - 1].extent == stride) {
      axes.axis[axes.rank - 1].extent *= extent;
    } else {
      if (axes.rank == kMaxRank) {
        throw Error(ErrorKind::usage,
                    fmt::format("[strided_copy] shape {} has too many axes", to_string(shape)));
      }
      axes.axis[axes.rank++] = {extent, stride, dense};
    }
    dense *= extent;
  }
  if (axes.rank == 0) axes.axis[axes.rank++] = {1, 1, 1};
  std::reverse(axes.axis.begin(), axes.axis.begin() + axes.rank);
  return axes;
}

// Calls f(strided offset, dense offset) for every index of the first `outer` axes.
template <class F>
void for_each(const Axes& axes, int outer, const F& f) {
  std::array<std::int64_t, kMaxRank> index{};
  std::int64_t strided = 0, dense = 0;
  for (;;) {
    f(strided, dense);
    int k = outer - 1;
    for (; k >= 0; --k) {
      const auto& a = axes.axis[k];
      strided += a.strided;
      dense += a.dense;
      if (++index[k] < a.extent) break;
      strided -= a.extent * a.strided;
      dense -= a.extent * a.dense;
      index[k] = 0;
    }
    if (k < 0) return;
  }
}

// Direction of the copy: to the dense side (copy) or to the strided side (store).
template <bool Store, class E>
void move_element(E* strided, E* dense) {
  if constexpr (Store)
    *strided = *dense;
  else
    *dense = *strided;
}
template <bool Store, class E>
void move_run(E* strided, E* dense, const Axis& a) {
  const auto bytes = static_cast<std::size_t>(a.extent) * sizeof(E);
  if (a.strided == 1) {
    if (a.extent < 16) {
      for (std::int64_t i = 0; i < a.extent; ++i) move_element<Store>(strided + i, dense + i);
    } else {
      std::memcpy(Store ? strided : dense, Store ? dense : strided, bytes);
    }
  } else if (!Store && a.strided == 0) {
    std::fill_n(dense, a.extent, *strided);
  } else {
    for (std::int64_t i = 0; i < a.extent; ++i)
      move_element<Store>(strided + i * a.strided, dense + i);
  }
}

// Two axes, `across` with unit steps in the strided array and `along` in the dense one.
template <bool Store, class E>
void move_transposed(TransposeFn transpose, E* strided, E* dense, const Axis& across,
                     const Axis& along) {
  if (Store) {
    transpose(dense, across.dense, strided, along.strided, across.extent, along.extent);
  } else {
    transpose(strided, along.strided, dense, across.dense, along.extent, across.extent);
  }
}

template <bool Store, class E>
void move_all(E* strided, E* dense, Axes axes) {
  const int last = axes.rank - 1;
  const auto unit = std::find_if(axes.axis.begin(), axes.axis.begin() + last,
                                 [](const Axis& a) { return a.strided == 1; });
  if (unit == axes.axis.begin() + last || axes.axis[last].strided == 1) {
    for_each(axes, last, [&](std::int64_t s, std::int64_t d) {
      move_run<Store>(strided + s, dense + d, axes.axis[last]);
    });
    return;
  }
  std::rotate(unit, unit + 1, axes.axis.begin() + last);  // the unit axis to second from the end
  const auto transpose = transpose_kernel(sizeof(E));
  for_each(axes, last - 1, [&](std::int64_t s, std::int64_t d) {
    move_transposed<Store>(transpose, strided + s, dense + d, axes.axis[last - 1], axes.axis[last]);
  });
}

template <bool Store>
void move_bytes(void* strided, void* dense, const Axes& axes, std::int64_t offset,
                std::size_t element) {
  if (axes.empty) return;
  const auto go = [&](auto e) {
    using E = decltype(e);
    move_all<Store>(static_cast<E*>(strided) + offset, static_cast<E*>(dense), axes);
  };
  switch (element) {
    case 1:
      return go(std::uint8_t{});
    case 2:
      return go(std::uint16_t{});
    case 4:
      return go(std::uint32_t{});
    case 8:
      return go(std::uint64_t{});
    default:
      throw Error(ErrorKind::internal, fmt::format("[strided_copy] elements of {} bytes", element));
  }
}

template <class T>
void add_row(const T* g, T* out, std::int64_t row) {
  for (std::int64_t j = 0; j < row; ++j) {
    if constexpr (std::is_same_v<T, bfloat16>) {
      out[j] = bfloat16(static_cast<float>(out[j]) + static_cast<float>(g[j]));
    } else {
      out[j] = static_cast<T>(out[j] + g[j]);
    }
  }
}

}  // namespace

void strided_copy(const void* x, void* out, const Shape& out_shape,
                  const std::vector<std::int64_t>& strides, std::int64_t offset,
                  std::size_t element_bytes) {
  move_bytes<false>(const_cast<void*>(x), out, collapse(out_shape, strides), offset, element_bytes);
}

void strided_store(const void* x, void* out, const Shape& x_shape,
                   const std::vector<std::int64_t>& strides, std::int64_t offset,
                   std::size_t element_bytes) {
  move_bytes<true>(out, const_cast<void*>(x), collapse(x_shape, strides), offset, element_bytes);
}

void gather_rows(const void* table, const std::int64_t* index, void* out, std::int64_t count,
                 std::int64_t row, DType dtype) {
  const auto bytes = static_cast<std::size_t>(row) * size_of(dtype);
  const auto* from = static_cast<const std::byte*>(table);
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t i = 0; i < count; ++i, to += bytes) {
    std::memcpy(to, from + static_cast<std::size_t>(index[i]) * bytes, bytes);
  }
}

void scatter_add_rows(const void* g, const std::int64_t* index, void* out, std::int64_t count,
                      std::int64_t row, DType dtype) {
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* from = static_cast<const T*>(g);
    auto* to = static_cast<T*>(out);
    for (std::int64_t i = 0; i < count; ++i) add_row(from + i * row, to + index[i] * row, row);
  });
}

}  // namespace descent::kernels
