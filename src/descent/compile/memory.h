// Where every value lives. Views share their input's buffer; a buffer lives from its first write to
// its last read, and buffers whose lives do not overlap share bytes of the arena. State that is
// donated is updated in its own memory when every other reader comes before the writer.
#pragma once
#include <map>
#include <unordered_map>
#include <vector>

#include "descent/compile/schedule.h"
#include "descent/ir/graph.h"

namespace descent {

// Memory of one value: an offset into a buffer.
struct Place {
  int buffer = -1;
  std::int64_t offset = 0;
};

struct Buffer {
  std::size_t bytes = 0;          // of one shard's part
  bool per_shard = false;         // each shard has its own, `bytes` or `stride` apart
  std::byte* external = nullptr;  // memory outside the arena (inputs, outputs, constants)
  std::size_t offset = 0;         // in the arena (of the shard, or of the replicated part)
  int first = 0, last = -1;       // positions in the schedule
  int lane = 0;                   // replicated: memory is handed on within a lane
  // Per shard, and read in the phase that writes it only: the shards that a thread computes one
  // after another have it in the same memory, which stays in the cache.
  bool passing = false;
};

// What the caller owns: memory of a value, fixed.
struct Fixed {
  Value value;
  std::byte* memory = nullptr;
};

// Where the parts of the arena begin.
struct Bases {
  std::byte* shared = nullptr;
  std::vector<std::byte*> shards, threads;
  std::size_t thread_of(int shard) const {
    return static_cast<std::size_t>(shard) % threads.size();
  }
};

struct MemoryPlan {
  std::vector<Buffer> buffers;
  std::unordered_map<Value, Place, ValueHash> places;
  // Of the arena: per shard, per thread that computes shards, and replicated.
  std::size_t shard_bytes = 0, passing_bytes = 0, shared_bytes = 0;
  std::size_t unshared_bytes = 0;  // what it would be without sharing
  // Outputs that could not be computed in their final memory and are copied there at the end.
  std::vector<int> copied_outputs;

  std::byte* address(const Value& v, int shard, const Bases& bases) const;
};

// `inputs`: memory of placeholders; `outputs[i]`: final memory of output i (a donated input's, or
// its own), `per_shard` outputs having their shards' parts one after another. `threads`: that
// compute the shards; where each has one shard, that shard's memory is planned as a whole.
MemoryPlan plan_memory(const Schedule& schedule, const std::vector<Fixed>& inputs,
                       const std::vector<Fixed>& outputs, int shards, int threads);

}  // namespace descent
