#include "descent/base/random.h"

#include <algorithm>
#include <array>

#include "descent/base/error.h"
#include "descent/kernels/reduce.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/random.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

constexpr int kBlocks = 16;  // Philox blocks computed side by side, one per lane

// words[w][j] = word w of block first + j; the rounds of base/random.cpp, as loops over lanes that
// the compiler turns into vectors.
HWY_INLINE void Blocks(std::uint64_t key, std::uint64_t stream, std::uint64_t first,
                       std::uint32_t (&c)[4][kBlocks]) {
  for (int j = 0; j < kBlocks; ++j) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(j);
    c[0][j] = static_cast<std::uint32_t>(block);
    c[1][j] = static_cast<std::uint32_t>(block >> 32);
    c[2][j] = static_cast<std::uint32_t>(stream);
    c[3][j] = static_cast<std::uint32_t>(stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int j = 0; j < kBlocks; ++j) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0][j];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2][j];
      c[0][j] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1][j] ^ k0;
      c[1][j] = static_cast<std::uint32_t>(p1);
      c[2][j] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3][j] ^ k1;
      c[3][j] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// Element i is word i % 4 of block i / 4; in float64 words 2 (i % 2) and the next of block i / 2.
template <class T>
HWY_INLINE void Elements(const std::uint32_t (&c)[4][kBlocks], T* out) {
  for (int j = 0; j < kBlocks; ++j) {
    if constexpr (sizeof(T) == 8) {
      out[2 * j] = unit_double(c[0][j], c[1][j]);
      out[2 * j + 1] = unit_double(c[2][j], c[3][j]);
    } else {
      for (int w = 0; w < 4; ++w) out[4 * j + w] = unit_float(c[w][j]);
    }
  }
}

template <class T>
void Uniform(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n, T* out) {
  constexpr std::int64_t per_block = sizeof(T) == 8 ? 2 : 4, group = per_block * kBlocks;
  std::uint32_t words[4][kBlocks];
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
