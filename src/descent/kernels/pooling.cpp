#include "descent/kernels/pooling.h"

#include <algorithm>

namespace descent::kernels {
namespace {

// Calls f(plane's first input element, output element, window) for each output element in order.
template <class F>
void each_window(const PoolShape& p, const F& f) {
  std::int64_t o = 0;
  for (std::int64_t plane = 0; plane < p.n * p.c; ++plane) {
    for (std::int64_t oh = 0; oh < p.out_h(); ++oh) {
      for (std::int64_t ow = 0; ow < p.out_w(); ++ow, ++o)
        f(plane * p.h * p.w, o, pool_window(p, oh, ow));
    }
  }
}

}  // namespace

template <class T>
void max_pool(const PoolShape& p, const T* x, T* y, std::int32_t* index) {
  if (p.channels_last) return pool_functions_last<T>().max_pool(p, x, y, index);
  each_window(p, [&](std::int64_t plane, std::int64_t o, PoolWindow v) {
    std::int64_t best = v.h0 * p.w + v.w0;
    T largest = x[plane + best];
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t at = h * p.w + v.w0; at < h * p.w + v.w1; ++at) {
        const T value = x[plane + at];
        if (value > largest || (value != value && largest == largest)) {
          largest = value;
          best = at;
        }
      }
    }
    y[o] = largest;
    index[o] = static_cast<std::int32_t>(best);
  });
}

template <class T>
void pool_gather(const PoolShape& p, const T* x, const std::int32_t* index, T* out) {
  if (p.channels_last) return pool_functions_last<T>().gather(p, x, index, out);
  const std::int64_t places = p.out_h() * p.out_w();
  for (std::int64_t plane = 0; plane < p.n * p.c; ++plane, x += p.h * p.w) {
    for (std::int64_t i = 0; i < places; ++i) *out++ = x[*index++];
  }
}

template <class T>
void pool_scatter(const PoolShape& p, const T* g, const std::int32_t* index, T* dx) {
  if (p.channels_last) return pool_functions_last<T>().scatter(p, g, index, dx);
  const std::int64_t places = p.out_h() * p.out_w();
  std::fill_n(dx, p.n * p.c * p.h * p.w, T{0});
  for (std::int64_t plane = 0; plane < p.n * p.c; ++plane, dx += p.h * p.w) {
    for (std::int64_t i = 0; i < places; ++i) dx[*index++] += *g++;
  }
}

template <class T>
void average_pool(const PoolShape& p, const T* x, T* y) {
  if (p.channels_last) return pool_functions_last<T>().average(p, x, y);
  const T scale = T{1} / static_cast<T>(p.r * p.s);
  each_window(p, [&](std::int64_t plane, std::int64_t o, PoolWindow v) {
    T sum{0};
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t w = v.w0; w < v.w1; ++w) sum += x[plane + h * p.w + w];
    }
    y[o] = sum * scale;
  });
}

template <class T>
void average_pool_gradient(const PoolShape& p, const T* g, T* dx) {
  if (p.channels_last) return pool_functions_last<T>().average_gradient(p, g, dx);
  const T scale = T{1} / static_cast<T>(p.r * p.s);
  std::fill_n(dx, p.n * p.c * p.h * p.w, T{0});
  each_window(p, [&](std::int64_t plane, std::int64_t o, PoolWindow v) {
    const T share = g[o] * scale;
    for (std::int64_t h = v.h0; h < v.h1; ++h) {
      for (std::int64_t w = v.w0; w < v.w1; ++w) dx[plane + h * p.w + w] += share;
    }
  });
}

template void max_pool(const PoolShape&, const float*, float*, std::int32_t*);
template void max_pool(const PoolShape&, const double*, double*, std::int32_t*);
template void pool_gather(const PoolShape&, const float*, const std::int32_t*, float*);
template void pool_gather(const PoolShape&, const double*, const std::int32_t*, double*);
template void pool_scatter(const PoolShape&, const float*, const std::int32_t*, float*);
template void pool_scatter(const PoolShape&, const double*, const std::int32_t*, double*);
template void average_pool(const PoolShape&, const float*, float*);
template void average_pool(const PoolShape&, const double*, double*);
template void average_pool_gradient(const PoolShape&, const float*, float*);
template void average_pool_gradient(const PoolShape&, const double*, double*);

}  // namespace descent::kernels
