#include "descent/kernels/reduce.h"

#include <fmt/format.h>

#include <cstring>

#include "descent/base/error.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/reduce.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/reduce-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

template <class T>
ReduceFn ReduceOf(Reduction kind) {
  if (kind == Reduction::sum) return &Reduce<Sum, T>;
  return kind == Reduction::max ? &Reduce<Extreme<true>, T> : &Reduce<Extreme<false>, T>;
}
ReduceFn FindReduce(Reduction kind, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return ReduceOf<float>(kind);
    case DType::float64:
      return ReduceOf<double>(kind);
    case DType::int32:
      return ReduceOf<std::int32_t>(kind);
    case DType::int64:
      return ReduceOf<std::int64_t>(kind);
    default:
      return nullptr;
  }
}

StreamFunctions FindStreams(DType dtype) {
  if (dtype == DType::float64) return {&StreamAdd<double>, &StreamFinish<double>};
  return {&StreamAdd<float>, &StreamFinish<float>};
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(FindReduce);
HWY_EXPORT(FindStreams);

const StreamFunctions& stream_functions(DType dtype) {
  static const StreamFunctions of32 = HWY_DYNAMIC_DISPATCH(FindStreams)(DType::float32),
                               of64 = HWY_DYNAMIC_DISPATCH(FindStreams)(DType::float64);
  return dtype == DType::float64 ? of64 : of32;
}
std::int64_t stream_lanes(DType dtype) { return 256 / static_cast<std::int64_t>(size_of(dtype)); }

template <class T>
void arg_max_of(const T* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
                std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t j = 0; j < inner; ++j) {
      const T* column = x + o * n * inner + j;
      std::int64_t best = 0;
      T largest = column[0];
      for (std::int64_t i = 1; i < n && largest == largest; ++i) {
        const T value = column[i * inner];
        if (!(value <= largest)) {  // larger, or NaN
          largest = value;
          best = i;
        }
      }
      out[o * inner + j] = best;
    }
  }
}

// The elements of one channel, in order: as Columns() of reduce-inl.h combines a column.
template <class T>
class ChannelSum {
 public:
  ChannelSum(const T* x, std::int64_t c, std::int64_t places)
      : x_(x), step_((c - 1) * places), places_(places), left_(places) {}

  T operator()(std::int64_t count) {
    if (count <= kBlock) return block(count);
    std::int64_t cut = kBlock;
    while (2 * cut < count) cut *= 2;
    const T left = (*this)(cut);
    return left + (*this)(count - cut);
  }

 private:
  static constexpr std::int64_t kBlock = SumStream::kRows;

  T next() {
    if (left_ == 0) x_ += step_, left_ = places_;
    --left_;
    return *x_++;
  }
  T block(std::int64_t count) {
    T sum{0};
    std::int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      const T a = next(), b = next(), c = next(), d = next();
      sum += (a + b) + (c + d);
    }
    for (; i < count; ++i) sum += next();
    return sum;
  }

  const T* x_;
  std::int64_t step_, places_, left_;
};

template <class T>
void channel_sum_of(const T* x, T* out, std::int64_t n, std::int64_t c, std::int64_t places) {
  for (std::int64_t k = 0; k < c; ++k)
    out[k] = ChannelSum<T>(x + k * places, c, places)(n * places);
}
}  // namespace

std::int64_t SumStream::grain() const { return inner == 1 ? stream_lanes(dtype) : 4 * inner; }

std::size_t SumStream::state_bytes() const {
  const std::int64_t block = kRows * (inner == 1 ? stream_lanes(dtype) : 1);
  std::int64_t levels = 1;
  for (std::int64_t blocks = n / block; blocks > 0; blocks /= 2) ++levels;
  const std::int64_t width = inner == 1 ? stream_lanes(dtype) : inner;
  return kHead + static_cast<std::size_t>(width + levels * inner) * size_of(dtype);
}

void SumStream::begin(void* state) const {
  const std::int64_t width = inner == 1 ? stream_lanes(dtype) : inner;
  std::memset(state, 0, kHead + static_cast<std::size_t>(width) * size_of(dtype));
}

void SumStream::add(void* state, const void* x, std::int64_t elements) const {
  stream_functions(dtype).add(state, x, inner, elements);
}

void SumStream::finish(void* state, void* out) const {
  stream_functions(dtype).finish(state, out, inner);
}

void channel_sum(const void* x, void* out, std::int64_t n, std::int64_t c, std::int64_t places,
                 DType dtype) {
  if (c == 1) return reduce_kernel(Reduction::sum, dtype)(x, out, 1, n * places, 1);
  if (dtype == DType::float64) {
    return channel_sum_of(static_cast<const double*>(x), static_cast<double*>(out), n, c, places);
  }
  channel_sum_of(static_cast<const float*>(x), static_cast<float*>(out), n, c, places);
}

ReduceFn reduce_kernel(Reduction kind, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(FindReduce)(kind, dtype);
}

void arg_max(const void* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
             std::int64_t inner, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return arg_max_of(static_cast<const float*>(x), out, outer, n, inner);
    case DType::float64:
      return arg_max_of(static_cast<const double*>(x), out, outer, n, inner);
    case DType::int32:
      return arg_max_of(static_cast<const std::int32_t*>(x), out, outer, n, inner);
    case DType::int64:
      return arg_max_of(static_cast<const std::int64_t*>(x), out, outer, n, inner);
    default:
      throw Error(ErrorKind::usage, fmt::format("[arg_max] has no kernel for {}", name_of(dtype)));
  }
}

}  // namespace descent::kernels
#endif
