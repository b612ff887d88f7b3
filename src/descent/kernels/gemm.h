// Matrix products by loops of our own: the smallest float32 products, for which a library call
// costs more than the work, and float64, which oneDNN lacks.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace descent::kernels {

// c[m, n] = a[m, k] b[k, n]; c dense, a and b dense as stored: [m, k], or [k, m] if transpose_a;
// [k, n], or [n, k] if transpose_b.
struct GemmShape {
  std::int64_t m, k, n;
  bool transpose_a, transpose_b;
};

template <class T>
using GemmFn = void (*)(const GemmShape& shape, const T* a, const T* b, T* c, T* scratch);
template <class T>
struct Gemm {
  GemmFn<T> run;
  std::int64_t scratch;  // elements
  bool turns_b = false;  // b is transposed into it by every call
};

// Up to here columns of c are few.
inline constexpr std::int64_t kNarrow = 4;

// What one target has.
struct GemmFunctions {
  GemmFn<float> rows32, dots32, times_vector32, vector_times32, panels32;
  GemmFn<double> rows64, dots64, times_vector64, vector_times64, panels64;
  std::array<GemmFn<float>, kNarrow> narrow32;  // of 1, 2, ... columns
  std::array<GemmFn<double>, kNarrow> narrow64;
};

// For a few thousand multiplications: reads a and b where they lie.
template <class T>
Gemm<T> small_gemm(const GemmShape& shape);
// For any size: copies panels of b that stay in the cache. Each element is summed in order of k.
template <class T>
Gemm<T> panel_gemm(const GemmShape& shape);

}  // namespace descent::kernels
