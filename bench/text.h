// The text of W5 and W6: 200,000 symbols of 65 from an order-1 Markov chain, where the rank of each
// symbol's successor is small more often than large. bench/peers/text.py is the same for Python.
#pragma once
#include "bench/workload.h"
#include "descent/data/loader.h"

namespace descent::bench {

inline constexpr std::int64_t kText = 200'000, kSymbols = 65;

inline std::vector<std::int64_t> symbols() {
  std::vector<std::int64_t> text;
  std::uint64_t c = 0;
  for (std::uint64_t i = 0; i < kText; ++i) {
    const std::uint64_t z = mix(5, i), product = (z >> 32) * (z & 0xFFFFFFFF) >> 32;
    c = (17 * c + 29 * (product * kSymbols >> 32) + 5) % kSymbols;
    text.push_back(static_cast<std::int64_t>(c));
  }
  return text;
}

// The batch of a step: symbols of windows at mix(1000 + step), and the symbols after them.
inline data::Batch windows(const std::vector<std::int64_t>& text, std::uint64_t step,
                           std::int64_t rows, std::int64_t length) {
  data::Batch batch;
  batch.features = Array(DType::int64, {rows, length});
  batch.targets = Array(DType::int64, {rows, length});
  batch.rows = rows;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto last = static_cast<std::uint64_t>(kText - length - 1);
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(
                                          mix(1000 + step, static_cast<std::uint64_t>(r)) % last);
    std::copy_n(begin, length, batch.features.as<std::int64_t>().begin() + r * length);
    std::copy_n(begin + 1, length, batch.targets.as<std::int64_t>().begin() + r * length);
  }
  return batch;
}

}  // namespace descent::bench
