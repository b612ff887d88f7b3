// Counter-based random numbers: a value is a pure function of (key, counter), so that any element
// of any stream can be computed on any thread in any order, and resuming needs no hidden state.
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include <array>
#include <cstdint>

namespace descent {

// Ten rounds of Philox 4x32.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key);

// A new key from a key and a number (a step, a name's hash, an epoch).
std::uint64_t fold_in(std::uint64_t key, std::uint64_t data);
// 64-bit FNV-1a of a text, to fold names into keys.
std::uint64_t hash_text(const char* text);

// Uniform on [0, 1) with 24 (53) random bits.
inline float unit_float(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
inline double unit_double(std::uint32_t hi, std::uint32_t lo) {
  return static_cast<double>((std::uint64_t{hi} << 32 | lo) >> 11) * 0x1p-53;
}

// A stream of draws for places that want one number after another (initialisers, splits).
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t key) : key_(key) {}
  std::uint32_t bits();
  double uniform();                      // [0, 1)
  double normal();                       // mean 0, variance 1 (Box-Muller)
  std::uint64_t below(std::uint64_t n);  // uniform on [0, n), without modulo bias

 private:
  std::uint64_t key_, counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

// A keyed permutation of [0, n): position -> element in O(1) time and memory (a Feistel network of
// four rounds, eight for small n, over the next even power of two, walked until it lands inside [0,
// n)).
class Permutation {
 public:
  Permutation(std::uint64_t n, std::uint64_t key);
  std::uint64_t operator()(std::uint64_t position) const;

 private:
  std::uint64_t n_, key_;
  int half_bits_;
  std::uint32_t rounds_ = 4;
};

}  // namespace descent
