#include "descent/compile/profile.h"

#include <algorithm>

#include "descent/ir/graph.h"

namespace descent {

std::size_t Profiler::add(const Node& node, int shards) {
  KernelProfile k;
  k.kernel = node.op->name();
  k.attributes = node.op->attributes();
  k.layer = node.scope;
  k.type = to_string(node.outputs[0]);
  const auto in = input_types(node);
  for (const auto& t : in) k.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.outputs) k.bytes += static_cast<double>(t.bytes());
  k.flops = node.op->flops(in, node.outputs);
  k.copies = node.op->copies(in, node.outputs) * shards;
  k.flops *= shards;
  k.bytes *= shards;
  kernels_.push_back(std::move(k));
  return kernels_.size() - 1;
}

Kernel Profiler::timed(Kernel kernel, std::size_t index, int lane) {
  Slot& slot = slots_.emplace_back();
  slot.kernel = index;
  slot.lane = lane;
  auto run = [this, &slot, inner = std::move(kernel.run)](std::int64_t begin, std::int64_t end) {
    const auto start = Clock::now();
    inner(begin, end);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    slot.seconds += seconds;
    if (slot.calls < static_cast<std::int64_t>(kEvents)) {
      slot.first[static_cast<std::size_t>(slot.calls)] = {
          std::chrono::duration<double>(start - begin_).count(), seconds};
    }
    ++slot.calls;
  };
  return {std::move(run), kernel.extent};
}

std::vector<KernelProfile> Profiler::kernels() const {
  auto result = kernels_;
  for (const auto& slot : slots_) {
    result[slot.kernel].seconds += slot.seconds;
    result[slot.kernel].calls += slot.calls;
  }
  return result;
}

std::vector<KernelEvent> Profiler::events() const {
  std::vector<KernelEvent> result;
  for (const auto& slot : slots_) {
    const auto n = std::min<std::size_t>(kEvents, static_cast<std::size_t>(slot.calls));
    for (std::size_t i = 0; i < n; ++i)
      result.push_back({slot.kernel, slot.lane, slot.first[i].first, slot.first[i].second});
  }
  std::sort(result.begin(), result.end(),
            [](const KernelEvent& a, const KernelEvent& b) { return a.start < b.start; });
  return result;
}

}  // namespace descent
