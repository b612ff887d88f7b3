#include "descent/base/random.h"

#include <algorithm>

#include "descent/base/error.h"
#include "descent/kernels/reduce.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/random.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/random-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
constexpr std::size_t kBlocks = 16;  // Philox blocks at a time

template <class T>
void Uniform(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n, T* out) {
  constexpr std::int64_t per_block = sizeof(T) == 8 ? 2 : 4,
                         group = per_block * static_cast<std::int64_t>(kBlocks);
  Pairs<kBlocks> words;
  T some[group];
  for (std::int64_t i = first / per_block * per_block; i < first + n; i += group) {
    Blocks(key, stream, static_cast<std::uint64_t>(i / per_block), words);
    if (i >= first && i + group <= first + n) {
      Elements(words, out + (i - first));
    } else {
      Elements(words, some);
      const std::int64_t from = std::max(i, first), to = std::min(i + group, first + n);
      std::copy(some + (from - i), some + (to - i), out + (from - first));
    }
  }
}
void Uniform32(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n,
               float* out) {
  Uniform(key, stream, first, n, out);
}
void Uniform64(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n,
               double* out) {
  Uniform(key, stream, first, n, out);
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Uniform32);
HWY_EXPORT(Uniform64);
}  // namespace

void random_uniform(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n,
                    void* out, DType dtype) {
  if (dtype == DType::float64) {
    return HWY_DYNAMIC_DISPATCH(Uniform64)(key, stream, first, n, static_cast<double*>(out));
  }
  if (dtype != DType::float32) {
    throw Error(ErrorKind::usage, "[random_uniform] gives float32 or float64", {},
                "draw float32 and cast");
  }
  HWY_DYNAMIC_DISPATCH(Uniform32)(key, stream, first, n, static_cast<float*>(out));
}

}  // namespace descent::kernels
#endif
