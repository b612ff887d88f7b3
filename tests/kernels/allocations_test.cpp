// Counts allocations of the test program. In a file of its own: inlined, GCC warns of the pairing.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/kernels/support.h"

static std::atomic<long> count{0};

void* operator new(std::size_t n) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace descent::kernels::testing {

long allocations() { return count.load(std::memory_order_relaxed); }

TEST(Allocations, AreCounted) {
  const long before = allocations();
  delete new std::vector<int>(1000);
  EXPECT_GE(allocations(), before + 2);
}

}  // namespace descent::kernels::testing
