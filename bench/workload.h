// What the workloads share: data and initial values that any language makes from the same few
// lines, and the measuring loop. bench/peers/workload.py is the same for Python.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "descent/base/array.h"

namespace descent::bench {

// Element i: ((z >> 40) * 2^-23 - 1) * bound, z the (i+1)-th output of splitmix64 seeded with
// `seed`.
inline Array uniform(std::uint64_t seed, const Shape& shape, float bound) {
  Array a(DType::float32, shape);
  auto out = a.as<float>();
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    out[i] = (static_cast<float>(z >> 40) * 0x1p-23f - 1) * bound;
  }
  return a;
}

struct Arguments {
  int threads = 1, runs = 3;
  std::string precision = "float32";
};
inline Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--threads") a.threads = std::atoi(argv[i + 1]);
    if (key == "--runs") a.runs = std::atoi(argv[i + 1]);
    if (key == "--precision") a.precision = argv[i + 1];
  }
  return a;
}

// Median seconds a step over `runs` runs; `run` does `steps` steps from the beginning and gives the
// loss that shows equal work.
inline void measure(const std::string& workload, const std::string& variant, const Arguments& a,
                    int steps, const std::function<double()>& run) {
  std::vector<double> seconds;
  double loss = 0;
  for (int r = 0; r < a.runs; ++r) {
    const auto start = std::chrono::steady_clock::now();
    loss = run();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / steps);
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print(
      "{{\"workload\": \"{}\", \"case\": \"{}\", \"peer\": \"descent{}\", \"threads\": {}, "
      "\"step_s\": {:.9g}, \"best_s\": {:.9g}, \"loss\": {:.9g}}}\n",
      workload, variant, a.precision == "float32" ? "" : " " + a.precision, a.threads,
      seconds[seconds.size() / 2], seconds[0], loss);
}

}  // namespace descent::bench
