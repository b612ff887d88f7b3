// Matrix products. float32 and bfloat16 go to oneDNN (a held primitive), small float32 products to
// loops of our own, since a call costs 250 ns, and so does float64, which oneDNN lacks. One thread
// each: the shards are the parallelism. A product's result depends on shapes and values only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "descent/base/dtype.h"

namespace descent::kernels {

struct MatmulShape {
  std::int64_t batch = 1;  // independent products; 1 for plain matrices
  std::int64_t m = 0, k = 0, n = 0;
  bool transpose_a = false, transpose_b = false;  // a is stored [k, m], b is stored [n, k]
  bool broadcast_a = false, broadcast_b = false;  // one a (b) for every product of the batch
  DType in = DType::float32;                      // float32, float64 or bfloat16
  DType out = DType::float32;                     // bfloat16 in: float32 or bfloat16 out
  friend bool operator==(const MatmulShape&, const MatmulShape&) = default;
};

// True where every product of this shape transposes b first: whoever has several of one b had
// better do it once.
bool turns_b(const MatmulShape& shape);

// c[m, n] = a[m, k] b[k, n], all dense and row-major as stored. Creating is expensive (about 1 ms),
// running is not; run() never allocates and may be called from any thread, also from several at
// once with different scratch.
class Matmul {
 public:
  explicit Matmul(const MatmulShape& shape);
  ~Matmul();
  Matmul(Matmul&&) noexcept;
  std::size_t scratch_bytes() const;
  // A call bound to its memory, with oneDNN's memory objects held: what a plan keeps.
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace descent::kernels
