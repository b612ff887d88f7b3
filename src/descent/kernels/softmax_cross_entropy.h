// Cross-entropy of labels with the softmax of rows of logits, in two passes over each row that stay
// in the first cache, and its gradient in one.
//   lse = m + log(sum_c exp(x_c - m)), m = max_c x_c;   loss = lse - x_label
//   d loss / d x_c = exp(x_c - lse) - [c == label]
#pragma once
#include <cstdint>

#include "descent/base/dtype.h"

namespace descent::kernels {

// logits [rows, classes] to loss [rows] and lse [rows]. Labels are in range (the caller has
// looked). The order of the sums depends on the number of classes alone.
using SoftmaxCrossEntropyFn = void (*)(const void* logits, const std::int64_t* label, void* loss,
                                       void* lse, std::int64_t rows, std::int64_t classes);
// d [rows, classes] = (exp(logits - lse) - onehot(label)) * g, g [rows]. d may be the logits.
using SoftmaxCrossEntropyGradientFn = void (*)(const void* logits, const std::int64_t* label,
                                               const void* lse, const void* g, void* d,
                                               std::int64_t rows, std::int64_t classes);

struct SoftmaxCrossEntropyKernels {
  SoftmaxCrossEntropyFn value = nullptr;
  SoftmaxCrossEntropyGradientFn gradient = nullptr;
};
// float32 or float64.
SoftmaxCrossEntropyKernels softmax_cross_entropy_kernels(DType dtype);

}  // namespace descent::kernels
