// Blocks of Philox and what random_uniform (reduce.h) makes of their words, some blocks at a time.
// Included once per target (foreach_target.h).
#include <cstdint>

#include "descent/base/random.h"
#include "hwy/highway.h"

#if defined(DESCENT_RANDOM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DESCENT_RANDOM_INL_H
#undef DESCENT_RANDOM_INL_H
#else
#define DESCENT_RANDOM_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Words 0 and 1, then words 2 and 3 of each block, the first of a pair in the lower half.
template <std::size_t kBlocks>
struct Pairs {
  HWY_ALIGN std::uint64_t pair[2 * kBlocks];
};

// The words of blocks first .. first + kBlocks - 1: philox(block, stream; key) of base/random.h.
#if HWY_TARGET == HWY_SCALAR
template <std::size_t kBlocks>
HWY_INLINE void Blocks(std::uint64_t key, std::uint64_t stream, std::uint64_t first,
                       Pairs<kBlocks>& out) {
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
template <std::size_t kBlocks>
HWY_INLINE void Blocks(std::uint64_t key, std::uint64_t stream, std::uint64_t first,
                       Pairs<kBlocks>& out) {
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
template <std::size_t kBlocks>
HWY_INLINE void Elements(const Pairs<kBlocks>& pairs, float* out) {
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
template <std::size_t kBlocks>
HWY_INLINE void Elements(const Pairs<kBlocks>& pairs, double* out) {
  for (std::size_t i = 0; i < 2 * kBlocks; ++i) {
    out[i] = unit_double(static_cast<std::uint32_t>(pairs.pair[i]),
                         static_cast<std::uint32_t>(pairs.pair[i] >> 32));
  }
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
