// Order of execution. Nodes of per-shard values and nodes of replicated ones alternate in phases;
// threads meet between phases, so fewer switches are fewer meetings.
#pragma once
#include <vector>

#include "descent/ir/value.h"

namespace descent {

struct Phase {
  bool per_shard = false;
  int begin = 0, end = 0;  // range of the schedule
};

struct Schedule {
  std::vector<Node*> nodes;
  std::vector<Phase> phases;
  // Of each node of a replicated phase, the thread it had best run on: chains that do not need each
  // other go to different ones.
  std::vector<int> lanes;
};

// Goes on in the kind of phase it is in as long as a node of that kind is ready; among the ready
// ones, in order of creation (which keeps lifetimes short and rematerialised work late).
Schedule schedule(ValueSpan outputs, int shards, int threads = 1);

// True where each shard computes its own.
bool runs_per_shard(const Node& node, int shards);

}  // namespace descent
