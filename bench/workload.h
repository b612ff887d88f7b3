// What the workloads share: data that any language makes from the same few lines, and the measuring
// loop. bench/peers/workload.py is the same for Python.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "descent/base/array.h"
#include "descent/train/profile.h"

namespace descent::bench {

// ---- data ----

// Output number i (from 0) of splitmix64 (Steele, Lea & Flood 2014) seeded with `seed`.
inline std::uint64_t mix(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Element i: ((mix(seed, i) >> 40) * 2^-23 - 1) * bound, in [-bound, bound).
inline Array uniform(std::uint64_t seed, const Shape& shape, float bound) {
  Array a(DType::float32, shape);
  auto out = a.as<float>();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = (static_cast<float>(mix(seed, i) >> 40) * 0x1p-23f - 1) * bound;
  return a;
}

// Rows of ten classes: 0.25 * the class's prototype + 0.75 * noise; every tenth label is another's.
struct Labelled {
  Array x, y;
};
inline Labelled labelled(const Array& prototypes, std::int64_t rows) {
  Shape shape = prototypes.shape();
  const std::int64_t width = prototypes.size() / shape[0];
  shape[0] = rows;
  Labelled data{uniform(32, shape, 1.0f), Array(DType::int64, {rows})};
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t c = (i * 7 + i / 10) % 10;
    data.y.as<std::int64_t>()[static_cast<std::size_t>(i)] = i % 10 == 9 ? (c + 3) % 10 : c;
    float* row = data.x.as<float>().data() + i * width;
    const float* of = prototypes.as<float>().data() + c * width;
    for (std::int64_t j = 0; j < width; ++j) row[j] = 0.25f * of[j] + 0.75f * row[j];
  }
  return data;
}

// ---- measuring ----

struct Arguments {
  int threads = 1, runs = 3;
  bool quick = false;    // a tenth of the steps, once: shows that it works, measures nothing
  bool profile = false;  // every kernel is timed and told; what is measured has that time in it
  std::string precision = "float32", only;

  bool wanted(const std::string& name) const { return only.empty() || only == name; }
  int steps(int all) const { return quick ? std::max(1, all / 10) : all; }
};
inline Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    const auto value = [&] {
      if (i + 1 == argc) throw std::runtime_error(key + " wants a value");
      return std::string(argv[++i]);
    };
    if (key == "--threads") {
      a.threads = std::stoi(value());
    } else if (key == "--runs") {
      a.runs = std::stoi(value());
    } else if (key == "--precision") {
      a.precision = value();
    } else if (key == "--case") {
      a.only = value();
    } else if (key == "--quick") {
      a.quick = true;
    } else if (key == "--profile") {
      a.profile = true;
    } else {
      throw std::runtime_error("unknown argument " + key);
    }
  }
  if (a.quick) a.runs = 1;
  return a;
}

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds spent making data: no part of the start.
inline double& preparing() {
  static double seconds = 0;
  return seconds;
}
template <class F>
auto prepare(F&& make) {
  const double start = now();
  auto made = make();
  preparing() += now() - start;
  return made;
}

// Seconds since bench/run started this program (the same clock), data left out; -1: nobody said.
inline double age() {
  const char* start = std::getenv("DESCENT_BENCH_START");
  return start == nullptr ? -1 : now() - std::atof(start) - preparing();
}

// Highest resident memory so far, in MiB.
inline double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:" && status >> word) return std::stod(word) / 1024;
  }
  return 0;
}

// A workload under way.
struct Work {
  std::function<void()> reset;             // back to the beginning; not timed
  std::function<void(int)> run;            // so many steps
  std::function<double()> result;          // the number that shows equal work; not timed
  std::function<const Plan*()> plan = {};  // of a step, compiled with Arguments::profile
};

// Runs one step (and tells the time from the start of the program to its end), a few to warm up,
// then `runs` times all steps from the beginning. One line of JSON.
inline void measure(const std::string& workload, const std::string& name, const Arguments& a,
                    int all_steps, const Work& work) {
  const int steps = a.steps(all_steps);
  prepare([&] { return work.reset(), 0; });
  work.run(1);
  const double first = age();
  work.run(std::max(1, steps / 10));
  std::string seconds;
  for (int r = 0; r < a.runs; ++r) {
    work.reset();
    const double start = now();
    work.run(steps);
    seconds += fmt::format("{}{:.9g}", r == 0 ? "" : ", ", (now() - start) / steps);
  }
  fmt::print(
      "{{\"workload\": \"{}\", \"case\": \"{}\", \"peer\": \"descent\", \"mode\": \"{}\", "
      "\"precision\": \"{}\", \"threads\": {}, \"steps\": {}, \"seconds\": [{}], \"loss\": {:.9g}, "
      "\"first_step_s\": {:.4g}, \"peak_mb\": {:.1f}}}\n",
      workload, name, a.precision, a.precision, a.threads, steps, seconds, work.result(), first,
      peak_mb());
  std::fflush(stdout);
  if (a.profile && work.plan)
    fmt::print(stderr, "{}", train::profile_report(*work.plan(), train::measure_peaks()));
}

}  // namespace descent::bench
