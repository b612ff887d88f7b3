// Counts every operator new of this program, for the test that batches allocate nothing. A file of
// its own, so that the compiler does not look through the replaced operators.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/data/support.h"

namespace {
std::atomic<std::int64_t> count{0};
}

void* operator new(std::size_t n) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
// Also without exceptions (std::stable_sort's buffer): the sanitizer's own would not fit the
// operator delete below.
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(n == 0 ? 1 : n);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace descent::data {
std::int64_t allocations() { return count.load(); }
}  // namespace descent::data
