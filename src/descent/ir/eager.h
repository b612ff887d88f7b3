// Computing one node at once: the debugging mode, and the reference that plans are checked against.
#pragma once
#include "descent/ir/value.h"

namespace descent {

// Options of the innermost EagerScope of this thread, or null.
const EagerOptions* current_eager();
// Fills node.computed from its inputs' computed arrays, shard by shard.
void compute(Node& node, const EagerOptions& options);

}  // namespace descent
