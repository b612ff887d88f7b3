// Matrices turned round by blocks that stay in registers.
#pragma once
#include <cstddef>
#include <cstdint>

namespace descent::kernels {

// y[j * y_row + i] = x[i * x_row + j] for i < rows, j < columns.
using TransposeFn = void (*)(const void* x, std::int64_t x_row, void* y, std::int64_t y_row,
                             std::int64_t rows, std::int64_t columns);
// For elements of 1, 2, 4 or 8 bytes.
TransposeFn transpose_kernel(std::size_t element_bytes);

}  // namespace descent::kernels
