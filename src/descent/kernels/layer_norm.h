// Normalisation of rows of n elements:
//
//   layer norm  xh = (x - mean) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)
//   RMS norm    xh = x rstd,           rstd = 1 / sqrt(mean(x^2) + eps)
//   y = xh weight + bias
//
// and its gradient, with h = g weight:
//
//   dx = rstd (h - mean(h) - xh mean(h xh))  (RMS norm: without mean(h)),
//   dweight = sum over rows of g xh,  dbias = sum over rows of g
#pragma once
#include <cstddef>
#include <cstdint>

#include "descent/base/dtype.h"

namespace descent::kernels {

struct LayerNormShape {
  std::int64_t rows = 1, n = 1;
  double eps = 1e-5;
  bool rms = false;
  DType dtype = DType::float32;  // or float64
};

// All [rows, n] but weight and bias [n] (null: none) and mean and rstd [rows] (RMS norm: no mean).
struct LayerNormForward {
  LayerNormShape shape;
  const void *x = nullptr, *weight = nullptr, *bias = nullptr;
  void *y = nullptr, *mean = nullptr, *rstd = nullptr;
};
struct LayerNormBackward {
  LayerNormShape shape;
  const void *x = nullptr, *g = nullptr, *mean = nullptr, *rstd = nullptr, *weight = nullptr;
  void *dx = nullptr, *dweight = nullptr, *dbias = nullptr;  // the last two null: not wanted
};

void layer_norm(const LayerNormForward& call);
std::size_t layer_norm_gradient_scratch_bytes(const LayerNormShape& shape);
void layer_norm_gradient(const LayerNormBackward& call, void* scratch);

}  // namespace descent::kernels
