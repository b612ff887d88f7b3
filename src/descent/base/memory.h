// Memory that is allocated once, aligned to cache lines, in huge pages where the kernel has them:
// the first touch of a 4 KiB page can cost tens of microseconds on a virtual machine.
#pragma once
#include <cstddef>
#include <memory>

namespace descent {

inline constexpr std::size_t kAlignment = 64;
constexpr std::size_t align_up(std::size_t n, std::size_t to = kAlignment) {
  return (n + to - 1) / to * to;
}

// A zeroed block of at least `bytes`, aligned to kAlignment (2 MiB when that large).
std::shared_ptr<std::byte> allocate(std::size_t bytes);

}  // namespace descent
