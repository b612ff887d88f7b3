#include "descent/train/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "descent/base/memory.h"
#include "descent/compile/profile.h"
#include "descent/kernels/linear_algebra.h"

namespace descent::train {
namespace {

// The best of some runs: what the machine can, not what it did while another program ran.
double best_seconds(const std::function<void()>& f) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

struct Sums {
  double seconds = 0, flops = 0, bytes = 0;
  int copies = 0;
  std::int64_t kernels = 0;
  void add(const KernelProfile& k) {
    seconds += k.seconds, flops += k.flops, bytes += k.bytes, copies += k.copies, ++kernels;
  }
};

std::string row(const std::string& name, const Sums& s, double steps, double total,
                const MachinePeaks& peaks) {
  const double seconds = s.seconds / steps;
  const double rate = seconds > 0 ? s.flops / seconds : 0;
  const double traffic = seconds > 0 ? s.bytes / seconds : 0;
  return fmt::format("{:<40.40} {:>9.1f} {:>5.1f}% {:>8.1f} {:>4.0f}% {:>8.1f} {:>4.0f}%{}\n", name,
                     seconds * 1e6, 100 * s.seconds / total, rate * 1e-9, 100 * rate / peaks.flops,
                     traffic * 1e-9, 100 * traffic / peaks.bytes,
                     s.copies > 0 ? fmt::format("  {} copies", s.copies) : "");
}

// What is left of copies between layouts, by operation, the most first.
std::string copies_line(const std::vector<KernelProfile>& kernels) {
  std::map<std::string, int> by_operation;
  int all = 0;
  for (const auto& k : kernels) {
    if (k.copies > 0) by_operation[k.kernel] += k.copies, all += k.copies;
  }
  std::vector<std::pair<std::string, int>> sorted(by_operation.begin(), by_operation.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string parts;
  for (const auto& [operation, copies] : sorted) {
    parts += fmt::format("{}{} {}", parts.empty() ? ": " : ", ", operation, copies);
  }
  return fmt::format("{} copies between layouts left in a step, of all shards{}", all, parts);
}

std::string head(const char* what) {
  return fmt::format("{:<40} {:>9} {:>6} {:>8} {:>5} {:>8} {:>5}\n", what, "us/step", "share",
                     "GFLOP/s", "peak", "GB/s", "peak");
}

std::string table(const char* what, const std::map<std::string, Sums>& groups, std::size_t most,
                  double steps, double total, const MachinePeaks& peaks) {
  std::vector<std::pair<std::string, Sums>> sorted(groups.begin(), groups.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  std::string text = head(what);
  Sums rest;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i < most) {
      text += row(sorted[i].first, sorted[i].second, steps, total, peaks);
      continue;
    }
    const Sums& s = sorted[i].second;
    rest.seconds += s.seconds, rest.flops += s.flops, rest.bytes += s.bytes;
    rest.copies += s.copies, rest.kernels += 1;
  }
  if (rest.kernels > 0)
    text += row(fmt::format("{} others", rest.kernels), rest, steps, total, peaks);
  return text;
}

}  // namespace

MachinePeaks measure_peaks() {
  MachinePeaks peaks;
  constexpr std::int64_t n = 512;
  const kernels::Matmul product({.m = n, .k = n, .n = n});
  const auto matrices = allocate(3 * n * n * sizeof(float));
  const auto scratch = allocate(product.scratch_bytes());
  std::memset(matrices.get(), 0, 3 * n * n * sizeof(float));
  auto* m = reinterpret_cast<float*>(matrices.get());
  const auto multiply = product.bind(m, m + n * n, m + 2 * n * n, scratch.get());
  multiply();
  peaks.flops = 2.0 * n * n * n / best_seconds(multiply);
  constexpr std::size_t bytes = std::size_t{64} << 20;
  const auto memory = allocate(2 * bytes);
  std::memset(memory.get(), 0, 2 * bytes);
  peaks.bytes =
      2.0 * bytes / best_seconds([&] { std::memcpy(memory.get(), memory.get() + bytes, bytes); });
  return peaks;
}

std::string profile_report(const Plan& plan, const MachinePeaks& peaks) {
  const auto kernels = plan.profiler()->kernels();
  double total = 0;
  std::int64_t fewest = 0;
  std::map<std::string, Sums> by_layer, by_kernel;
  for (const auto& k : kernels) {
    total += k.seconds;
    // A kernel that is run once a step tells how many steps there were.
    if (k.calls > 0 && (fewest == 0 || k.calls < fewest)) fewest = k.calls;
    by_layer[k.layer.empty() ? "(optimizer, gradient norm)" : k.layer].add(k);
    by_kernel[k.attributes.empty() ? k.kernel : fmt::format("{} {}", k.kernel, k.attributes)].add(
        k);
  }
  const auto steps = static_cast<double>(std::max<std::int64_t>(1, fewest));
  const auto& s = plan.statistics();
  return fmt::format(
             "profile of {:.0f} steps: {:.1f} us a step in kernels (all threads added), {} kernels "
             "({} fused), {} phases\n{}\n"
             "peaks of one thread: {:.0f} GFLOP/s, {:.0f} GB/s; memory {:.1f} MB planned, {:.1f} "
             "MB "
             "without sharing\n\n",
             steps, total / steps * 1e6, s.kernels, s.fused, s.phases, copies_line(kernels),
             peaks.flops * 1e-9, peaks.bytes * 1e-9, static_cast<double>(s.arena_bytes) * 1e-6,
             static_cast<double>(s.unplanned_bytes) * 1e-6) +
         table("layer", by_layer, 40, steps, total, peaks) + "\n" +
         table("kernel", by_kernel, 30, steps, total, peaks);
}

std::string profile_trace(const Plan& plan) {
  const auto kernels = plan.profiler()->kernels();
  nlohmann::json events = nlohmann::json::array();
  for (const auto& e : plan.profiler()->events()) {
    const auto& k = kernels[e.kernel];
    events.push_back({{"name", k.kernel},
                      {"cat", k.layer},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", e.lane},
                      {"ts", e.start * 1e6},
                      {"dur", e.seconds * 1e6},
                      {"args", {{"layer", k.layer}, {"type", k.type}, {"text", k.attributes}}}});
  }
  return nlohmann::json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}}.dump() +
         "\n";
}

}  // namespace descent::train
