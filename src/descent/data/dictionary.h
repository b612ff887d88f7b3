// Distinct texts numbered in order of appearance: an open-addressing hash table.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace descent::data {

class Dictionary {
 public:
  // The number of `text`, a new one where it has not been seen.
  std::int32_t code(std::string_view text) {
    if (2 * (texts_.size() + 1) > slots_.size()) grow();
    const std::uint64_t h = hash(text);
    for (std::size_t i = h & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const std::int32_t slot = slots_[i];
      if (slot < 0) {
        slots_[i] = static_cast<std::int32_t>(texts_.size());
        texts_.emplace_back(text);
        hashes_.push_back(h);
        return slots_[i];
      }
      const auto s = static_cast<std::size_t>(slot);
      if (hashes_[s] == h && texts_[s] == text) return slot;
    }
  }
  std::vector<std::string>& texts() { return texts_; }

 private:
  static std::uint64_t hash(std::string_view text) {
    constexpr std::uint64_t k = 0x9E3779B97F4A7C15u;
    std::uint64_t h = text.size() * k;
    const char* p = text.data();
    std::size_t n = text.size();
    for (; n > 8; p += 8, n -= 8) h = mix(h, p, 8) * k;
    h = mix(h, p, n) * k;
    h ^= h >> 32;
    return h * k ^ h >> 29;
  }
  static std::uint64_t mix(std::uint64_t h, const char* p, std::size_t n) {
    std::uint64_t word = 0;
    if (n > 0) std::memcpy(&word, p, n);
    return (h ^ word) ^ (h >> 31);
  }
  void grow() {
    slots_.assign(slots_.empty() ? 16 : slots_.size() * 2, -1);
    for (std::size_t s = 0; s < texts_.size(); ++s) {
      std::size_t i = hashes_[s] & (slots_.size() - 1);
      while (slots_[i] >= 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = static_cast<std::int32_t>(s);
    }
  }

  std::vector<std::string> texts_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::int32_t> slots_;
};

}  // namespace descent::data
