// Parameter groups: parts of the parameters follow optimizers of their own.
//
//   auto opt = partition({{{"head.*"}, adam({.lr = 1e-2})}}, adam({.lr = 1e-4}));
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/optim/registry.h"

namespace descent::optim {

struct Part {
  std::vector<std::string> match;  // patterns of names, * for any characters
  Optimizer optimizer;
  std::function<bool(const Parameter&)> takes = {};  // in the place of the patterns
};
// Each parameter follows the first part that matches its name, or `rest`. A transformation that
// looks at all gradients together (clip_by_global_norm) looks at those of its part: to clip all of
// them, stand it before the partition in a chain.
Optimizer partition(std::vector<Part> parts, Optimizer rest);

// [[optimizer.groups]] of a configuration: what is set stands in the place of the optimizer's own
// lr (under the same schedule) and weight_decay.
std::vector<Option> group_options();
struct Group {
  std::vector<std::string> match;
  std::optional<double> weight_decay;
  Schedule schedule;  // of the group's lr
};
// The optimizer `name` with these groups; clip_norm, clip_percentile and sam are over all
// parameters together.
Optimizer grouped(const std::string& name, const Options& options, const Schedule& schedule,
                  const std::vector<Group>& groups);
// Each pattern must match a parameter that no group before it has taken; else a usage error.
void require_members(const std::vector<Group>& groups, const std::vector<std::string>& names);

}  // namespace descent::optim
