#include "descent/compile/schedule.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <unordered_map>

#include "descent/ir/graph.h"
#include "descent/ir/op.h"

namespace descent {

bool runs_per_shard(const Node& node, int shards) {
  if (shards == 1) return false;
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [](const Type& t) { return t.per_shard; });
}

namespace {

// Microseconds, roughly: enough to tell what is worth another thread.
double cost(const Node& node) {
  constexpr double kFlops = 2e4, kBytes = 1e4;  // in one
  if (node.inputs.empty()) return 0;
  const auto types = input_types(node);
  if (node.op->view(types)) return 0;
  double bytes = 0;
  for (const auto& t : types) bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.outputs) bytes += static_cast<double>(t.bytes());
  return node.op->flops(types, node.outputs) / kFlops + bytes / kBytes;
}

class Lanes {
 public:
  explicit Lanes(int threads) : load_(static_cast<std::size_t>(threads), 0.0) {}
  // With its dearest producer of this phase; where there is none, on the thread with least to do.
  int place(const Node& node) {
    int lane = -1;
    double most = -1;
    for (const auto& v : node.inputs) {
      const auto it = placed_.find(v.node());
      if (it != placed_.end() && it->second.cost > most) {
        most = it->second.cost;
        lane = it->second.lane;
      }
    }
    if (lane < 0) {
      lane = static_cast<int>(std::min_element(load_.begin(), load_.end()) - load_.begin());
    }
    const double own = cost(node);
    if (own == 0 && most < 0) return 0;  // an input or a constant: no chain begins there
    load_[static_cast<std::size_t>(lane)] += own;
    placed_[&node] = {lane, own + std::max(most, 0.0)};
    return lane;
  }
  // What the threads besides the first have to do.
  double elsewhere() const { return std::accumulate(load_.begin() + 1, load_.end(), 0.0); }

 private:
  struct Placed {
    int lane;
    double cost;  // of the chain up to here
  };
  std::vector<double> load_;
  std::unordered_map<const Node*, Placed> placed_;
};

// Less is not worth waking another thread for, and meeting it.
constexpr double kWorthALane = 50;

void assign_lanes(Schedule& s, int threads) {
  s.lanes.assign(s.nodes.size(), 0);
  for (const auto& phase : s.phases) {
    if (phase.per_shard || threads == 1) continue;
    Lanes lanes(threads);
    for (int at = phase.begin; at < phase.end; ++at)
      s.lanes[static_cast<std::size_t>(at)] = lanes.place(*s.nodes[static_cast<std::size_t>(at)]);
    if (lanes.elsewhere() < kWorthALane)
      std::fill(s.lanes.begin() + phase.begin, s.lanes.begin() + phase.end, 0);
  }
}

}  // namespace

Schedule schedule(ValueSpan outputs, int shards, int threads) {
  const auto order = topological(outputs);
  const auto later = [](const Node* a, const Node* b) { return a->id > b->id; };
  using Ready = std::priority_queue<Node*, std::vector<Node*>, decltype(later)>;
  Ready ready[2] = {Ready(later), Ready(later)};  // replicated, per shard
  std::unordered_map<const Node*, int> missing;
  std::unordered_map<const Node*, std::vector<Node*>> users;
  const auto kind = [shards](const Node& node) { return runs_per_shard(node, shards) ? 1 : 0; };
  for (Node* node : order) {
    std::vector<const Node*> needed;
    for (const auto& v : node->inputs) {
      if (std::find(needed.begin(), needed.end(), v.node()) == needed.end())
        needed.push_back(v.node());
    }
    missing[node] = static_cast<int>(needed.size());
    for (const Node* n : needed) users[n].push_back(node);
    if (needed.empty()) ready[kind(*node)].push(node);
  }
  Schedule result;
  int current = 0;
  while (!ready[0].empty() || !ready[1].empty()) {
    if (ready[current].empty() || result.phases.empty()) {
      if (ready[current].empty()) current = 1 - current;
      const int at = static_cast<int>(result.nodes.size());
      if (!result.phases.empty()) result.phases.back().end = at;
      result.phases.push_back({current == 1, at, at});
    }
    Node* node = ready[current].top();
    ready[current].pop();
    result.nodes.push_back(node);
    for (Node* user : users[node]) {
      if (--missing[user] == 0) ready[kind(*user)].push(user);
    }
  }
  if (!result.phases.empty()) result.phases.back().end = static_cast<int>(result.nodes.size());
  assign_lanes(result, threads);
  return result;
}

}  // namespace descent
