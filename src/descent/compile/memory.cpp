#include "descent/compile/memory.h"

#include <algorithm>

#include "descent/base/memory.h"
#include "descent/ir/op.h"

namespace descent {
namespace {

// Free ranges of one arena: best fit, neighbours joined.
class FreeList {
 public:
  std::size_t take(std::size_t bytes) {
    auto best = ranges_.end();
    for (auto it = ranges_.begin(); it != ranges_.end(); ++it) {
      if (it->second >= bytes && (best == ranges_.end() || it->second < best->second)) best = it;
    }
    if (best == ranges_.end()) {
      // Grows the last range where it touches the end.
      std::size_t at = size_;
      if (!ranges_.empty() &&
          std::prev(ranges_.end())->first + std::prev(ranges_.end())->second == size_) {
        at = std::prev(ranges_.end())->first;
        ranges_.erase(std::prev(ranges_.end()));
      }
      size_ = at + bytes;
      return at;
    }
    const auto [at, length] = *best;
    ranges_.erase(best);
    if (length > bytes) ranges_[at + bytes] = length - bytes;
    return at;
  }
  void give(std::size_t at, std::size_t bytes) {
    auto it = ranges_.emplace(at, bytes).first;
    if (const auto next = std::next(it); next != ranges_.end() && at + bytes == next->first) {
      it->second += next->second;
      ranges_.erase(next);
    }
    if (it != ranges_.begin()) {
      const auto before = std::prev(it);
      if (before->first + before->second == at) {
        before->second += it->second;
        ranges_.erase(it);
      }
    }
  }
  std::size_t size() const { return size_; }

 private:
  std::map<std::size_t, std::size_t> ranges_;
  std::size_t size_ = 0;
};

class Planner {
 public:
  Planner(const Schedule& s, const std::vector<Fixed>& inputs, const std::vector<Fixed>& outputs,
          int shards, int threads)
      : schedule_(s), shards_(shards), threads_(threads) {
    for (const auto& f : inputs) bind_fixed(f.value, f.memory);
    find_lives();
    for (std::size_t i = 0; i < outputs.size(); ++i) place_output(static_cast<int>(i), outputs[i]);
    assign();
  }
  MemoryPlan take() { return std::move(plan_); }

 private:
  bool per_shard(const Value& v) const { return shards_ > 1 && v.per_shard(); }
  int new_buffer(const Value& v, std::byte* memory) {
    plan_.buffers.push_back(
        {.bytes = v.type().bytes(), .per_shard = per_shard(v), .external = memory});
    return static_cast<int>(plan_.buffers.size()) - 1;
  }
  void bind_fixed(const Value& v, std::byte* memory) {
    plan_.places[v] = {new_buffer(v, memory), 0};
  }
  Buffer& buffer_of(const Value& v) {
    return plan_.buffers[static_cast<std::size_t>(plan_.places.at(v).buffer)];
  }

  // A buffer for every value (views share), with its first write and last read.
  void find_lives() {
    for (int at = 0; at < static_cast<int>(schedule_.nodes.size()); ++at) {
      Node* node = schedule_.nodes[static_cast<std::size_t>(at)];
      for (const auto& v : node->inputs) buffer_of(v).last = at;
      const auto view = node->inputs.empty() ? std::nullopt : node->op->view(input_types(*node));
      for (int i = 0; i < static_cast<int>(node->outputs.size()); ++i) {
        const Value v(node->shared_from_this(), i);
        if (plan_.places.contains(v)) continue;  // an input
        if (const auto* c = dynamic_cast<const ConstantOp*>(node->op.get())) {
          bind_fixed(v, c->array.raw());
        } else if (view) {
          const Place& from = plan_.places.at(node->inputs[0]);
          plan_.places[v] = {from.buffer, from.offset + *view};
        } else {
          const int b = new_buffer(v, nullptr);
          plan_.buffers[static_cast<std::size_t>(b)].first = at;
          plan_.buffers[static_cast<std::size_t>(b)].last = at;
          plan_.buffers[static_cast<std::size_t>(b)].lane =
              schedule_.lanes[static_cast<std::size_t>(at)];
          plan_.places[v] = {b, 0};
        }
      }
    }
  }

  // The output's own buffer becomes the final memory, where nobody still needs what is there.
  void place_output(int i, const Fixed& output) {
    const Place place = plan_.places.at(output.value);
    Buffer& buffer = plan_.buffers[static_cast<std::size_t>(place.buffer)];
    if (buffer.external == output.memory && place.offset == 0)
      return;  // state that is returned unchanged
    const bool whole = place.offset == 0 && buffer.external == nullptr &&
                       buffer.bytes == output.value.type().bytes() &&
                       buffer.per_shard == per_shard(output.value);
    if (!whole || !free_for(output.memory, buffer, *output.value.node())) {
      plan_.copied_outputs.push_back(i);
      buffer.last = static_cast<int>(schedule_.nodes.size());  // lives until the copies at the end
      return;
    }
    buffer.external = output.memory;
  }
  // True where every other buffer in that memory has been read before the writer runs, or by the
  // writer itself element by element.
  bool free_for(const std::byte* memory, const Buffer& buffer, const Node& writer) {
    for (const auto& other : plan_.buffers) {
      if (&other == &buffer || other.external != memory) continue;
      if (other.last > buffer.first) return false;
      if (other.last < buffer.first) continue;
      for (int k = 0; k < static_cast<int>(writer.inputs.size()); ++k) {
        const Place& in = plan_.places.at(writer.inputs[static_cast<std::size_t>(k)]);
        if (plan_.buffers[static_cast<std::size_t>(in.buffer)].external != memory) continue;
        for (int o = 0; o < static_cast<int>(writer.outputs.size()); ++o) {
          const Place& out = plan_.places.at(Value(
              schedule_.nodes[static_cast<std::size_t>(buffer.first)]->shared_from_this(), o));
          const bool this_output = &plan_.buffers[static_cast<std::size_t>(out.buffer)] == &buffer;
          if (this_output && !(in.offset == 0 && writer.op->in_place(k, o))) return false;
        }
      }
    }
    return true;
  }

  // A dying input's bytes for the output, where the operation can work in place.
  bool reuse(const Node& node, int at, int o, Buffer& out) {
    for (int k = 0; k < static_cast<int>(node.inputs.size()); ++k) {
      const Place& place = plan_.places.at(node.inputs[static_cast<std::size_t>(k)]);
      Buffer& in = plan_.buffers[static_cast<std::size_t>(place.buffer)];
      const bool fits = in.external == nullptr && in.last == at && place.offset == 0 &&
                        !taken_[static_cast<std::size_t>(place.buffer)] &&
                        align_up(in.bytes) == align_up(out.bytes) &&
                        in.per_shard == out.per_shard && in.passing == out.passing &&
                        in.lane == out.lane;
      if (!fits || !node.op->in_place(k, o)) continue;
      out.offset = in.offset;
      taken_[static_cast<std::size_t>(place.buffer)] =
          true;  // now the output's: not to be given back
      return true;
    }
    return false;
  }

  void assign() {
    const auto most = std::max_element(schedule_.lanes.begin(), schedule_.lanes.end());
    std::vector<FreeList> lanes(
        most == schedule_.lanes.end() ? 1 : static_cast<std::size_t>(*most) + 1);
    FreeList shard, passing;
    for (const auto& phase : schedule_.phases) {
      for (auto& b : plan_.buffers) {
        const bool inside = b.first >= phase.begin && b.last < phase.end;
        b.passing = b.passing || (threads_ < shards_ && phase.per_shard && b.per_shard && inside);
      }
    }
    const auto list = [&](const Buffer& b) -> FreeList& {
      return b.passing ? passing : b.per_shard ? shard : lanes[static_cast<std::size_t>(b.lane)];
    };
    taken_.assign(plan_.buffers.size(), false);
    std::vector<bool> begun(plan_.buffers.size(), false);
    for (int at = 0; at < static_cast<int>(schedule_.nodes.size()); ++at) {
      Node* node = schedule_.nodes[static_cast<std::size_t>(at)];
      for (int o = 0; o < static_cast<int>(node->outputs.size()); ++o) {
        const int b = plan_.places.at(Value(node->shared_from_this(), o)).buffer;
        Buffer& buffer = plan_.buffers[static_cast<std::size_t>(b)];
        if (buffer.external != nullptr || buffer.first != at || begun[static_cast<std::size_t>(b)])
          continue;
        begun[static_cast<std::size_t>(b)] = true;
        plan_.unshared_bytes +=
            align_up(buffer.bytes) * (buffer.per_shard ? static_cast<std::size_t>(shards_) : 1);
        if (!reuse(*node, at, o, buffer)) buffer.offset = list(buffer).take(align_up(buffer.bytes));
      }
      for (std::size_t b = 0; b < plan_.buffers.size(); ++b) {
        const Buffer& buffer = plan_.buffers[b];
        if (begun[b] && buffer.last == at && !taken_[b])
          list(buffer).give(buffer.offset, align_up(buffer.bytes));
      }
    }
    std::vector<std::size_t> base(lanes.size());
    for (std::size_t k = 0; k < lanes.size(); plan_.shared_bytes += lanes[k++].size())
      base[k] = plan_.shared_bytes;
    for (auto& buffer : plan_.buffers) {
      if (!buffer.per_shard) buffer.offset += base[static_cast<std::size_t>(buffer.lane)];
    }
    plan_.shard_bytes = shard.size();
    plan_.passing_bytes = passing.size();
  }

  const Schedule& schedule_;
  int shards_, threads_;
  MemoryPlan plan_;
  std::vector<bool> taken_;
};

}  // namespace

std::byte* MemoryPlan::address(const Value& v, int shard, const Bases& bases) const {
  const Place& place = places.at(v);
  const Buffer& buffer = buffers[static_cast<std::size_t>(place.buffer)];
  std::byte* base = buffer.external;
  if (base == nullptr) {
    base = (buffer.passing     ? bases.threads[bases.thread_of(shard)]
            : buffer.per_shard ? bases.shards[static_cast<std::size_t>(shard)]
                               : bases.shared) +
           buffer.offset;
  } else if (buffer.per_shard) {
    base += static_cast<std::size_t>(shard) * buffer.bytes;
  }
  return base + place.offset;
}

MemoryPlan plan_memory(const Schedule& schedule, const std::vector<Fixed>& inputs,
                       const std::vector<Fixed>& outputs, int shards, int threads) {
  return Planner(schedule, inputs, outputs, shards, threads).take();
}

}  // namespace descent
