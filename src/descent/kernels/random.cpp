#include "descent/base/random.h"

#include <algorithm>

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
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kBlocks = 16;  // Philox blocks at a time
// Words 0 and 1, then words 2 and 3 of each block, the first of a pair in the lower half.
struct Pairs {
  HWY_ALIGN std::uint64_t pair[2 * kBlocks];
};

// The words of blocks first .. first + kBlocks - 1: philox(block, stream; key) of base/random.h.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void Blocks(std::uint64_t key, std::uint64_t stream, std::uint64_t first, Pairs& out) {
  for (std::size_t j = 0; j < kBlocks; ++j) {
    const std::uint64_t block = first + j;
    const auto words =
        philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
               key);
    out.pair[2 * j] = std::uint64_t{words[1]} << 32 | words[0];
    out.pair[2 * j + 1] = std::uint64_t{words[3]} << 32 | words[2];
  }
}
#else
// One block per 64-bit lane, each word in a lane's lower half: that is where the wide product takes
// its factors, and what the upper halves hold is never looked at.
HWY_INLINE void Blocks(std::uint64_t key, std::uint64_t stream, std::uint64_t first, Pairs& out) {
  const hn::CappedTag<std::uint64_t, kBlocks> d;
  const hn::Repartition<std::uint32_t, decltype(d)> half;
  using V = hn::Vec<decltype(d)>;
  const auto product = [&](V x, std::uint64_t factor) HWY_ATTR {
    return hn::MulEven(hn::BitCast(half, x), hn::BitCast(half, hn::Set(d, factor)));
  };
  for (std::size_t j = 0; j < kBlocks; j += hn::Lanes(d)) {
    V c0 = hn::Iota(d, first + j), c1 = hn::ShiftRight<32>(c0);
    V c2 = hn::Set(d, stream), c3 = hn::Set(d, stream >> 32);
    V k0 = hn::Set(d, key), k1 = hn::Set(d, key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const V p0 = product(c0, 0xD2511F53u), p1 = product(c2, 0xCD9E8D57u);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), k0);
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), k1);
      c1 = p1;
      c3 = p0;
      k0 = hn::Add(k0, hn::Set(d, 0x9E3779B9u));
      k1 = hn::Add(k1, hn::Set(d, 0xBB67AE85u));
    }
    const V low = hn::Set(d, 0xFFFFFFFFu);
    hn::StoreInterleaved2(hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1)),
                          hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3)), d, out.pair + 2 * j);
  }
}
#endif

// Element i is word i % 4 of block i / 4, in float64 pair i % 2 of block i / 2.
HWY_INLINE void Elements(const Pairs& pairs, float* out) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < 2 * kBlocks; ++i) {
    out[2 * i] = unit_float(static_cast<std::uint32_t>(pairs.pair[i]));
    out[2 * i + 1] = unit_float(static_cast<std::uint32_t>(pairs.pair[i] >> 32));
  }
#else
  const hn::CappedTag<float, 4 * kBlocks> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Repartition<std::uint64_t, decltype(d)> dp;
  const hn::Repartition<std::uint32_t, decltype(d)> du;
  for (std::size_t i = 0; i < 4 * kBlocks; i += hn::Lanes(d)) {
    const auto bits = hn::ShiftRight<8>(hn::BitCast(du, hn::Load(dp, pairs.pair + i / 2)));
    const auto number = hn::ConvertTo(d, hn::BitCast(di, bits));
    hn::StoreU(hn::Mul(number, hn::Set(d, 0x1p-24f)), d, out + i);
  }
#endif
}
HWY_INLINE void Elements(const Pairs& pairs, double* out) {
  for (std::size_t i = 0; i < 2 * kBlocks; ++i) {
    out[i] = unit_double(static_cast<std::uint32_t>(pairs.pair[i]),
                         static_cast<std::uint32_t>(pairs.pair[i] >> 32));
  }
}

template <class T>
void Uniform(std::uint64_t key, std::uint64_t stream, std::int64_t first, std::int64_t n, T* out) {
  constexpr std::int64_t per_block = sizeof(T) == 8 ? 2 : 4,
                         group = per_block * static_cast<std::int64_t>(kBlocks);
  Pairs words;
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
