#include "descent/base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace descent {

std::shared_ptr<std::byte> allocate(std::size_t bytes) {
  constexpr std::size_t huge = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= huge ? huge : kAlignment;
  const std::size_t size = align_up(bytes == 0 ? 1 : bytes, alignment);
  auto* p = static_cast<std::byte*>(std::aligned_alloc(alignment, size));
  if (p == nullptr) throw std::bad_alloc();
  if (alignment == huge) (void)madvise(p, size, MADV_HUGEPAGE);
  std::memset(p, 0, size);
  return {p, [](std::byte* q) { std::free(q); }};
}

}  // namespace descent
