// c[m, n] = a[m, k] b for one b and many a, as the steps of a recurrent layer need it: b is copied
// once into panels, through which every product then streams. On one thread; each element is summed
// in order of k.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "descent/base/dtype.h"

namespace descent::kernels {

struct PackedShape {
  std::int64_t m, k, n;
  bool transpose_b = false;         // b is stored [n, k]
  DType dtype = DType::float32;     // of a, b and c: float32 or float64
  DType operands = DType::float32;  // bfloat16: a and b are rounded to it, sums stay in dtype
};

// Whether products of bfloat16 operands are faster than of float32 ones on this processor: with
// AMX, and on AMD's with the AVX-512 instructions for it. Intel's without AMX have those
// instructions at half the rate of float32.
bool bfloat16_pays();

class PackedProduct {
 public:
  // library: by oneDNN where the operands are bfloat16 and it can; else, and everything else, by
  // loops of our own (which widen bfloat16 operands: the same products and precision of the sums).
  explicit PackedProduct(const PackedShape& shape, bool library = bfloat16_pays());
  std::size_t scratch_bytes() const;

  // Bound to c and scratch; neither call allocates.
  struct Bound {
    std::function<void(const void* b)> pack;
    std::function<void(const void* a)> run;  // with the b packed last
  };
  Bound bind(void* c, void* scratch) const;

 private:
  PackedShape shape_;
  std::shared_ptr<const class LibraryProduct> library_;  // null: loops
};

}  // namespace descent::kernels
