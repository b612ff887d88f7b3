// One row written several times: how a bias meets its batch.
#pragma once
#include <cstdint>

namespace descent::kernels {

// Elements that may be written behind the last row.
inline constexpr std::int64_t kRepeatSlack = 16;

// to[i * n + j] = from[j] for i < rows, j < n, elements of 4 bytes.
void repeat_rows(const std::uint32_t* from, std::int64_t n, std::int64_t rows, std::uint32_t* to);

}  // namespace descent::kernels
