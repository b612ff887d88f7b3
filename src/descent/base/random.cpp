#include "descent/base/random.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace descent {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

std::uint64_t fold_in(std::uint64_t key, std::uint64_t data) {
  const auto r = philox(
      {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32), 0x666f6c64u, 0},
      key);
  return std::uint64_t{r[1]} << 32 | r[0];
}

std::uint64_t hash_text(const char* text) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (; *text != '\0'; ++text) h = (h ^ static_cast<unsigned char>(*text)) * 0x100000001b3u;
  return h;
}

std::uint32_t RandomStream::bits() {
  if (used_ == 4) {
    block_ = philox(
        {static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32), 0, 0},
        key_);
    ++counter_;
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

double RandomStream::uniform() {
  const auto hi = bits();
  return unit_double(hi, bits());
}

double RandomStream::normal() {
  const double u = 1.0 - uniform();  // (0, 1]: the logarithm is finite
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t RandomStream::below(std::uint64_t n) {
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % n;
  for (;;) {
    const std::uint64_t hi = bits();
    const std::uint64_t x = hi << 32 | bits();
    if (x < limit) return x % n;
  }
}

Permutation::Permutation(std::uint64_t n, std::uint64_t key) : n_(n), key_(key) {
  const int bits = n <= 2 ? 2 : std::bit_width(n - 1);
  half_bits_ = (bits + 1) / 2;
  // Halves of few bits mix slowly: with four rounds small n favour some orders by several percent.
  rounds_ = half_bits_ <= 4 ? 8 : 4;
}

std::uint64_t Permutation::operator()(std::uint64_t position) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t x = position;
  do {
    std::uint64_t left = x >> half_bits_, right = x & mask;
    for (std::uint32_t round = 0; round < rounds_; ++round) {
      const auto r = philox({static_cast<std::uint32_t>(right),
                             static_cast<std::uint32_t>(right >> 32), round, 0x7065726du},
                            key_);
      const std::uint64_t next = left ^ ((std::uint64_t{r[1]} << 32 | r[0]) & mask);
      left = right;
      right = next;
    }
    x = left << half_bits_ | right;
  } while (x >= n_);
  return x;
}

}  // namespace descent
