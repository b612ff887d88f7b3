// Counts heap allocations of the whole program, apart from those that oneDNN makes inside its own
// execute(): include in one file of a test program only. (Not inlined: the compiler would take
// free() of what operator new gave for a mistake.)
#pragma once
#include <link.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace descent::test {

inline std::atomic<long> allocations{0};

struct AddressRange {
  std::uintptr_t begin = 0, end = 0;
};
// Where libdnnl's code lies.
inline AddressRange find_onednn() {
  AddressRange found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        if (std::strstr(info->dlpi_name, "libdnnl") == nullptr) return 0;
        auto* range = static_cast<AddressRange*>(out);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
          if (range->begin == 0) range->begin = begin;
          range->end = begin + segment.p_memsz;
        }
        return 1;
      },
      &found);
  return found;
}
inline const AddressRange onednn = find_onednn();

inline void count(const void* caller) {
  const auto at = reinterpret_cast<std::uintptr_t>(caller);
  if (at < onednn.begin || at >= onednn.end) ++allocations;
}

}  // namespace descent::test

__attribute__((noinline)) void* operator new(std::size_t n) {
  descent::test::count(__builtin_return_address(0));
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
// std::stable_sort and its kin ask like this.
__attribute__((noinline)) void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  descent::test::count(__builtin_return_address(0));
  return std::malloc(n == 0 ? 1 : n);
}
__attribute__((noinline)) void* operator new(std::size_t n, std::align_val_t a) {
  descent::test::count(__builtin_return_address(0));
  const auto to = static_cast<std::size_t>(a);
  if (void* p = std::aligned_alloc(to, (n + to - 1) / to * to)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}
__attribute__((noinline)) void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
