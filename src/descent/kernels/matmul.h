// The ways to compute a product that Matmul chooses from; apart so that tests can ask for each.
#pragma once
#include <functional>
#include <memory>

#include "descent/kernels/linear_algebra.h"

namespace descent::kernels {

class MatmulMethod {
 public:
  virtual ~MatmulMethod() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual std::function<void()> bind(const void* a, const void* b, void* c,
                                     void* scratch) const = 0;
};
using MatmulMethodPtr = std::shared_ptr<const MatmulMethod>;

// Loops of our own: small blocks for few multiplications, panels for float64.
MatmulMethodPtr loop_matmul(const MatmulShape& shape);
// oneDNN; nullptr where it has no kernel for these types on this processor.
MatmulMethodPtr library_matmul(const MatmulShape& shape);
// bfloat16 without hardware or library for it: converts to float32, multiplies, converts back.
MatmulMethodPtr converting_matmul(const MatmulShape& shape);

}  // namespace descent::kernels
