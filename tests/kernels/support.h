// What the kernel tests share: numbers, sentinels, distances in units in the last place.
#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "descent/base/dtype.h"
#include "descent/base/memory.h"
#include "descent/base/random.h"

namespace descent::kernels::testing {

// Calls of operator new so far (allocations_test.cpp).
long allocations();

// n elements with sentinels on both sides; `shift` elements off the alignment.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::int64_t n, std::int64_t shift = 0)
      : n_(static_cast<std::size_t>(n)),
        front_(kGuard + static_cast<std::size_t>(shift)),
        bytes_((front_ + n_ + kGuard) * sizeof(T), kByte) {}
  T* data() { return reinterpret_cast<T*>(bytes_.data()) + front_; }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()) + front_; }
  T& operator[](std::int64_t i) { return data()[i]; }
  const T& operator[](std::int64_t i) const { return data()[i]; }
  std::int64_t size() const { return static_cast<std::int64_t>(n_); }
  bool intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const bool inside = i >= front_ * sizeof(T) && i < (front_ + n_) * sizeof(T);
      if (!inside && bytes_[i] != kByte) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr unsigned char kByte = 0xA5;
  std::size_t n_, front_;
  std::vector<unsigned char> bytes_;
};

// Scratch of exactly `bytes`, aligned as the arena is, with sentinels after it.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) : bytes_(bytes), memory_(allocate(bytes + 256)) {
    std::memset(memory_.get(), 0x5A, bytes + 256);
  }
  void* data() { return memory_.get(); }
  bool intact() const {
    for (std::size_t i = bytes_; i < bytes_ + 256; ++i) {
      if (memory_.get()[i] != std::byte{0x5A}) return false;
    }
    return true;
  }

 private:
  std::size_t bytes_;
  std::shared_ptr<std::byte> memory_;
};

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}
template <class T>
bool same_bits(const T* a, const T* b, std::int64_t n) {
  return n == 0 || std::memcmp(a, b, static_cast<std::size_t>(n) * sizeof(T)) == 0;
}

// |got - want| in units in the last place of T at `want`; 0 where both are NaN or the same
// infinity. Results below the smallest normal number count in units of that one: they may be
// flushed to zero.
template <class T>
double ulps(T got, long double want) {
  if (std::isnan(want) || std::isnan(got)) {
    return std::isnan(want) && std::isnan(got) ? 0 : std::numeric_limits<double>::infinity();
  }
  const long double largest = std::numeric_limits<T>::max();
  const auto rounded = static_cast<T>(want);
  if (std::isinf(got) || std::isinf(rounded)) {
    if (got == rounded) return 0;
    // Overflow may begin an ulp or so early or late.
    return std::fabs(want) > largest * (1 - 4e-7L) &&
                   std::fabs(static_cast<long double>(got)) >= largest * (1 - 4e-7L)
               ? 4
               : std::numeric_limits<double>::infinity();
  }
  int exponent;
  std::frexp(want, &exponent);
  exponent = std::max(exponent, std::numeric_limits<T>::min_exponent);
  const long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want) / unit);
}

template <class T>
std::vector<T> random_vector(std::int64_t n, std::uint64_t seed, double low = -1, double high = 1) {
  RandomStream random(seed);
  std::vector<T> x(static_cast<std::size_t>(n));
  for (auto& v : x) v = static_cast<T>(static_cast<float>(low + (high - low) * random.uniform()));
  return x;
}
inline std::int64_t between(RandomStream& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

// Images [n, c, places] as [n, places, c].
template <class T>
std::vector<T> turned(const std::vector<T>& x, std::int64_t n, std::int64_t c,
                      std::int64_t places) {
  std::vector<T> y(x.size());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < c; ++k)
      for (std::int64_t p = 0; p < places; ++p)
        y[static_cast<std::size_t>((i * places + p) * c + k)] =
            x[static_cast<std::size_t>((i * c + k) * places + p)];
  return y;
}

}  // namespace descent::kernels::testing
