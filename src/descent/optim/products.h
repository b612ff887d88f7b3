// Which parameters are matrices of a linear or convolutional layer, and what they multiply: found
// in the graph of the loss, so that layers need to know nothing of it.
#pragma once
#include <optional>
#include <vector>

#include "descent/ir/value.h"

namespace descent::optim {

// s = a W^T, W the parameter as a matrix [outputs, inputs]: a row of a for each sample of the
// batch, place of an image (then the patch that the filters see there) or token of a sequence.
class Product {
 public:
  explicit Product(Value s) : s_(std::move(s)) {}
  // a [rows, inputs].
  Value inputs(DType dtype) const;
  // The derivative of the loss with respect to s, [rows, outputs].
  Value output_gradient(const Value& loss, DType dtype) const;
  // Samples in the batch (of one shard), each of which has `places` rows.
  std::int64_t samples() const;
  std::int64_t places() const;

 private:
  Value s_;
};

// For each parameter its product, where it is used in one and in nothing else. (A convolution in
// groups has none; neither has what the graph hides: layers that are one operation, such as
// recurrent ones, or that are computed again in the backward pass.)
std::vector<std::optional<Product>> products(const Value& loss, ValueSpan parameters);

}  // namespace descent::optim
