// Counts heap allocations of the whole program: include in one file of a test program only. (Not
// inlined: the compiler would take free() of what operator new gave for a mistake.)
#pragma once
#include <atomic>
#include <cstdlib>
#include <new>

namespace descent::test {
inline std::atomic<long> allocations{0};
}  // namespace descent::test

__attribute__((noinline)) void* operator new(std::size_t n) {
  ++descent::test::allocations;
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(std::size_t n, std::align_val_t a) {
  ++descent::test::allocations;
  const auto to = static_cast<std::size_t>(a);
  if (void* p = std::aligned_alloc(to, (n + to - 1) / to * to)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
