// What the two layouts of pooling share (pooling.cpp: planes; pooling_last.cpp: channels last).
#pragma once
#include <algorithm>

#include "descent/kernels/convolution.h"

namespace descent::kernels {

// The part of a window that lies inside the plane: rows [h0, h1), columns [w0, w1).
struct PoolWindow {
  std::int64_t h0, h1, w0, w1;
};
inline PoolWindow pool_window(const PoolShape& p, std::int64_t oh, std::int64_t ow) {
  const std::int64_t h = oh * p.stride_h - p.pad_h, w = ow * p.stride_w - p.pad_w;
  return {std::max<std::int64_t>(h, 0), std::min(h + p.r, p.h), std::max<std::int64_t>(w, 0),
          std::min(w + p.s, p.w)};
}

// The functions of kernels/convolution.h for channels last.
template <class T>
struct PoolFunctions {
  void (*max_pool)(const PoolShape&, const T*, T*, std::int32_t*);
  void (*gather)(const PoolShape&, const T*, const std::int32_t*, T*);
  void (*scatter)(const PoolShape&, const T*, const std::int32_t*, T*);
  void (*average)(const PoolShape&, const T*, T*);
  void (*average_gradient)(const PoolShape&, const T*, T*);
};
template <class T>
PoolFunctions<T> pool_functions_last();
template <>
PoolFunctions<float> pool_functions_last();
template <>
PoolFunctions<double> pool_functions_last();

}  // namespace descent::kernels
