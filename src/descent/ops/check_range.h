// Indices and labels come from data: whether they are in range is known only when they are used.
#pragma once
#include <cstdint>

namespace descent {

// A data error where one of the n indices is not in 0..limit - 1. `what`: the operation.
void check_range(
    const std::int64_t* index, std::int64_t n, std::int64_t limit, const char* what,
    const char* remedy = "class labels count from 0, and must be fewer than the model's outputs");

}  // namespace descent
