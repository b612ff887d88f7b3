// Two-dimensional convolution (cross-correlation, as PyTorch and the field call it) and pooling,
// through oneDNN in float32 and bfloat16, or by loops of our own where channels are few, and by
// unfolding in float64. Operands of bfloat16 are multiplied and summed in float32, which is what
// comes out. One thread each. Images lie as [n, c, h, w], or channels last, as [n, h, w, c]: the
// same numbers come out bit for bit.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "descent/base/dtype.h"

namespace descent::kernels {

struct ConvShape {
  std::int64_t n = 0, c = 0, h = 0, w = 0;  // input  [n, c, h, w]
  std::int64_t k = 0, r = 0, s = 0;         // weight [k, c / groups, r, s]
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;
  DType dtype = DType::float32;  // of the operands: float32, float64 or bfloat16
  bool channels_last = false;    // input and output are [n, h, w, c] and [n, out_h, out_w, k]
  DType result() const { return dtype == DType::bfloat16 ? DType::float32 : dtype; }
  std::int64_t out_h() const { return (h + 2 * pad_h - dilation_h * (r - 1) - 1) / stride_h + 1; }
  std::int64_t out_w() const { return (w + 2 * pad_w - dilation_w * (s - 1) - 1) / stride_w + 1; }
  friend bool operator==(const ConvShape&, const ConvShape&) = default;
};

enum class ConvKind {
  forward,          // a = input,       b = weight,      c = output [n, k, out_h, out_w]
  input_gradient,   // a = output grad, b = weight,      c = input gradient
  weight_gradient,  // a = input,       b = output grad, c = weight gradient
};

// As Matmul: created once, bound to memory, replayed. oneDNN works on images with channels last;
// others are copied into that order and back.
class Convolution {
 public:
  Convolution(ConvKind kind, const ConvShape& shape);
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  std::size_t scratch_bytes() const;
  int copies() const;  // operands that are copied into another layout, or out of it
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

struct PoolShape {
  std::int64_t n = 0, c = 0, h = 0, w = 0;
  std::int64_t r = 0, s = 0, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
  bool channels_last = false;  // images and results are [n, h, w, c]
  std::int64_t out_h() const { return (h + 2 * pad_h - r) / stride_h + 1; }
  std::int64_t out_w() const { return (w + 2 * pad_w - s) / stride_w + 1; }
  friend bool operator==(const PoolShape&, const PoolShape&) = default;
};

// Maximum of each window and the flat position (ih * w + iw) in its plane it came from; the first
// of equals; NaN wins. Padding never wins. T: float, double.
template <class T>
void max_pool(const PoolShape& p, const T* x, T* y, std::int32_t* index);
// out[n, c, oh, ow] = x[n, c, index]: linear in x; and its transpose.
template <class T>
void pool_gather(const PoolShape& p, const T* x, const std::int32_t* index, T* out);
template <class T>
void pool_scatter(const PoolShape& p, const T* g, const std::int32_t* index, T* dx);
// Mean over each window, the padding counted as zeros (PyTorch's count_include_pad = true), and its
// transpose.
template <class T>
void average_pool(const PoolShape& p, const T* x, T* y);
template <class T>
void average_pool_gradient(const PoolShape& p, const T* g, T* dx);

}  // namespace descent::kernels
