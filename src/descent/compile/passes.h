// The passes of the compiler, in order. Each is a function from outputs to equivalent outputs,
// small, named, timed, and can be switched off by name (CompileOptions::without) to find what it
// breaks.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "descent/ir/value.h"

namespace descent {

struct PassContext {
  int shards = 1;
  int threads = 1;  // decides what is fused, never what comes out
};

struct Pass {
  std::string name;
  std::function<Values(const Values& outputs, const PassContext& context)> run;
};
const std::vector<Pass>& passes();

Values expand(const Values& outputs,
              const PassContext& context);  // checkpoints become their bodies
Values merge_shards(const Values& outputs,
                    const PassContext& context);  // one shard: nothing to reduce over
Values simplify(const Values& outputs,
                const PassContext& context);  // identities, constants, broadcasts
Values merge_common(const Values& outputs, const PassContext& context);  // common subexpressions
// Images lie channels last over the whole step (ops/layout.h).
Values channels_last(const Values& outputs, const PassContext& context);
// Products whose results are only summed over shards add up at once (compile/summed_product.h).
Values sum_products(const Values& outputs, const PassContext& context);
// A small matrix that several products, or those of several shards, want transposed is transposed
// once.
Values share_transposes(const Values& outputs, const PassContext& context);
Values fuse(const Values& outputs,
            const PassContext& context);  // elementwise chains to tile programs

// Same types of outputs, inputs before users, every node's types as infer() says: throws
// Error(internal) that names the pass.
void verify(const Values& before, const Values& after, const std::string& pass);

}  // namespace descent
