#include "descent/kernels/softmax_cross_entropy.h"

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/softmax_cross_entropy.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/eltwise_math-inl.h"
#include "descent/kernels/reduce-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

// out[i] = exp(x[i] - shift).
template <class T>
HWY_INLINE void ShiftedExp(const T* x, T shift, T* out, std::size_t n) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto by = hn::Set(d, shift);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(ExpOf(d, hn::Sub(hn::LoadU(d, x + i), by)), d, out + i);
  }
  if (i == n) return;
  StoreSome(ExpOf(d, hn::Sub(LoadSome(d, x + i, n - i), by)), d, out + i, n - i);
}

// sum_i exp(x[i] - shift), in the order of Row<Sum>.
template <class T>
T SumExp(const T* x, T shift, std::int64_t n) {
  if (n <= kRowBlock<T>) {
    HWY_ALIGN T block[kRowBlock<T>];
    ShiftedExp(x, shift, block, static_cast<std::size_t>(n));
    return RowBlock<Sum>(block, static_cast<std::size_t>(n));
  }
  const std::int64_t cut = Cut(n, kRowBlock<T>);
  const T left = SumExp(x, shift, cut);
  return left + SumExp(x + cut, shift, n - cut);
}

template <class T>
void Value(const void* vx, const std::int64_t* label, void* vloss, void* vlse, std::int64_t rows,
           std::int64_t classes) {
  const auto* x = static_cast<const T*>(vx);
  auto* loss = static_cast<T*>(vloss);
  auto* lse = static_cast<T*>(vlse);
  for (std::int64_t i = 0; i < rows; ++i) {
    loss[i] = Row<Extreme<true>>(x + i * classes, classes);
    lse[i] = SumExp(x + i * classes, loss[i], classes);
  }
  // The logarithms of many rows at once.
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN T log[hn::MaxLanes(d)];
  for (std::int64_t first = 0; first < rows; first += lanes) {
    const auto count = std::min(lanes, rows - first);
    hn::Store(LogOf(d, LoadSome(d, lse + first, static_cast<std::size_t>(count))), d, log);
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t i = first + k;
      const T largest = loss[i];
      lse[i] = largest + log[k];
      loss[i] = (largest - x[i * classes + label[i]]) + log[k];
    }
  }
}

template <class T>
void Gradient(const void* vx, const std::int64_t* label, const void* vlse, const void* vg, void* vd,
              std::int64_t rows, std::int64_t classes) {
  const auto* x = static_cast<const T*>(vx);
  const auto* lse = static_cast<const T*>(vlse);
  const auto* g = static_cast<const T*>(vg);
  auto* out = static_cast<T*>(vd);
  const hn::ScalableTag<T> d;
  const std::size_t n = static_cast<std::size_t>(classes), lanes = hn::Lanes(d);
  for (std::int64_t i = 0; i < rows; ++i, x += classes, out += classes) {
    const auto shift = hn::Set(d, lse[i]), scale = hn::Set(d, g[i]);
    std::size_t c = 0;
    for (; c + lanes <= n; c += lanes) {
      hn::StoreU(hn::Mul(ExpOf(d, hn::Sub(hn::LoadU(d, x + c), shift)), scale), d, out + c);
    }
    if (c < n) {
      const auto part = LoadSome(d, x + c, n - c);
      StoreSome(hn::Mul(ExpOf(d, hn::Sub(part, shift)), scale), d, out + c, n - c);
    }
    out[label[i]] -= g[i];
  }
}

SoftmaxCrossEntropyKernels Find(DType dtype) {
  if (dtype == DType::float32) return {&Value<float>, &Gradient<float>};
  return {&Value<double>, &Gradient<double>};
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Find);
}  // namespace

SoftmaxCrossEntropyKernels softmax_cross_entropy_kernels(DType dtype) {
  return HWY_DYNAMIC_DISPATCH(Find)(dtype);
}

}  // namespace descent::kernels
#endif
