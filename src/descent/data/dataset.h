// Dataset: rows that are ready to be batched.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "descent/base/array.h"

namespace descent::data {

enum class Task { regression, classification };
std::string_view name_of(Task task);  // "regression", "classification"

struct Dataset {
  // [rows, ...]: float32, ready to use; or uint8 (images, [rows, channels, height, width]), which
  // the loader turns into float32 as (x - shift[c]) * scale[c] while it gathers a batch.
  Array features;
  // Classification: int64 [rows], the class of each row. Regression: float32 [rows, outputs], in
  // the units of Transform (standardised where data.normalize_target is set). Empty: no targets.
  Array targets;
  // float32 [rows], the weight of each row in the loss; empty: all 1.
  Array weights;
  // For uint8 features: one value per channel (axis 1 of [rows, channels, ...]), or a single one
  // for all elements. Empty: shift 0, scale 1.
  std::vector<float> shift, scale;

  std::int64_t rows() const { return features ? features.shape()[0] : 0; }
  // Shape of one row's features, e.g. [1, 28, 28].
  Shape sample_shape() const;
};

// The rows at `indices`, copied, in that order.
Dataset take(const Dataset& dataset, std::span<const std::int64_t> indices);

}  // namespace descent::data
