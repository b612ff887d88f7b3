// Profile: what a replayed step spends its time on, kernel by kernel. A plan that is compiled with
// CompileOptions::profile times every call (some 50 ns each).
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "descent/ir/op.h"

namespace descent {

// One kernel of the plan, all its shards and threads together.
struct KernelProfile {
  std::string kernel;           // the operation: "matmul", "fused"
  std::string attributes;       // its parameters: "mul+add+relu"
  std::string layer;            // the module it belongs to
  std::string type;             // of its first output
  double flops = 0, bytes = 0;  // of one step: arithmetic; operands read and results written
  int copies = 0;               // of one step: operands and results moved to another layout
  double seconds = 0;           // over all steps, added over threads
  std::int64_t calls = 0;       // over all steps
};

// One call, for a time line.
struct KernelEvent {
  std::size_t kernel = 0;  // index of the KernelProfile
  int lane = 0;            // shard or thread
  double start = 0, seconds = 0;
};

class Profiler {
 public:
  // A kernel of the plan; its index.
  std::size_t add(const Node& node, int shards);
  // The kernel, timed. lane: the shard or thread that runs it.
  Kernel timed(Kernel kernel, std::size_t index, int lane);
  // Seconds added up so far.
  std::vector<KernelProfile> kernels() const;
  // The first some thousand calls in order of start.
  std::vector<KernelEvent> events() const;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kEvents = 64;  // of one kernel and lane
  struct Slot {
    std::size_t kernel = 0;
    int lane = 0;
    double seconds = 0;
    std::int64_t calls = 0;
    std::array<std::pair<double, double>, kEvents> first{};  // start, seconds
  };
  Clock::time_point begin_ = Clock::now();
  std::vector<KernelProfile> kernels_;
  std::deque<Slot> slots_;  // addresses stay
};

}  // namespace descent
