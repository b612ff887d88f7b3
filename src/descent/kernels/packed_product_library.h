// PackedProduct of bfloat16 operands by a held primitive of oneDNN.
#pragma once
#include <memory>

#include "descent/kernels/packed_product.h"

namespace descent::kernels {

class LibraryProduct {
 public:
  virtual ~LibraryProduct() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual PackedProduct::Bound bind(void* c, void* scratch) const = 0;
};
// Null where the operands are not bfloat16 or the library has no kernel for them.
std::shared_ptr<const LibraryProduct> library_product(const PackedShape& shape);

}  // namespace descent::kernels
