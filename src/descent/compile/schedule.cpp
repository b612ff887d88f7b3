#include "descent/compile/schedule.h"

#include <algorithm>
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

Schedule schedule(ValueSpan outputs, int shards) {
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
  return result;
}

}  // namespace descent
