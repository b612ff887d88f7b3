// Dataset: rows that are ready to be batched.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "descent/base/array.h"

namespace descent::data {

enum class Task { regression, classification, language };
std::string_view name_of(Task task);  // "regression", "classification", "language"

struct Dataset {
  // [rows, ...]: float32, ready to use; or uint8 (images, [rows, channels, height, width]), which
  // the loader turns into float32 as (x - shift[c]) * scale[c] while it gathers a batch; or tokens,
  // int64 [rows, context].
  Array features;
  // Classification: int64 [rows], the class of each row. Regression: float32 [rows, outputs], in
  // the units of Transform (standardised where data.normalize_target is set). Empty: no targets.
  Array targets;
  // float32 [rows], the weight of each row in the loss; empty: all 1.
  Array weights;
  // For uint8 features: one value per channel (axis 1 of [rows, channels, ...]), or a single one
  // for all elements. Empty: shift 0, scale 1.
  std::vector<float> shift, scale;
  // Language: the tokens of a text, int32, held once, in place of features and targets. A row is a
  // window: int64 [context], with the same window one token later as its targets. In file order
  // row i begins at token i * context, so that every token but the first is a target once (a rest
  // shorter than a window is left out). Shuffled, an epoch has as many rows, and each begins at a
  // multiple of `stride` of its own, drawn without repetition: see Loader.
  Array stream;
  std::int64_t context = 0, stride = 1;

  std::int64_t rows() const;
  // Shape of one row's features, e.g. [1, 28, 28].
  Shape sample_shape() const;
  bool has_targets() const { return stream || (targets && targets.size() > 0); }
  // Language: the places where a shuffled row may begin; else the rows.
  std::int64_t choices() const;
};

// The rows at `indices`, copied, in that order (windows in file order become features and
// targets).
Dataset take(const Dataset& dataset, std::span<const std::int64_t> indices);

}  // namespace descent::data
