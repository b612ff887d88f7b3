// The three products of a dense layer over few rows x [rows, in] of a batch, weights w [out, in]:
//   y = x w^T     dx = dy w     dw = dy^T x, also added over the parts of a batch
// in float32, on one thread. A library copies both operands into panels first, which few rows do
// not pay for. Here the large matrix is read where it lies, once, while it is multiplied. Each
// element is summed in order of k, whatever the blocks, so parts of a result can be computed by
// themselves.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "descent/kernels/matmul.h"

namespace descent::kernels {

// nullptr for shapes that are none of these.
MatmulMethodPtr dense_matmul(const MatmulShape& shape);
// Where that is faster than the library.
bool dense_pays(const MatmulShape& shape);

// c[m, n] = sum over parts p, the first one first, of a_p[k, m]^T b_p[k, n]: each part's product as
// Matmul computes it, then added, bit for bit. Rows can be shared out among threads.
class SummedProduct {
 public:
  // True where Matmul takes these loops for one part, and they gain by adding up at once: the
  // result is larger than the operands.
  static bool suits(const MatmulShape& part);
  SummedProduct(const MatmulShape& part, int parts);
  // Pieces of rows: run(begin, end) computes [begin, end) of them, with scratch of its own.
  std::int64_t extent() const;
  std::size_t scratch_bytes() const;
  // The operands of all parts.
  std::function<void(std::int64_t begin, std::int64_t end)> bind(std::vector<const float*> a,
                                                                 std::vector<const float*> b,
                                                                 float* c, float* scratch) const;

 private:
  std::int64_t m_, k_, n_;
  int parts_;
};

}  // namespace descent::kernels
