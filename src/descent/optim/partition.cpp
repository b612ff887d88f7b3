#include "descent/optim/partition.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/base/glob.h"
#include "descent/optim/optimizers.h"

namespace descent::optim {
namespace {

class Partition final : public Transform {
 public:
  explicit Partition(std::vector<Part> parts) : parts_(std::move(parts)) {}

  std::string name() const override { return "partition"; }

  std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const override {
    std::vector<StateTensor> all;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      for (auto& tensor : parts_[k].optimizer->state(own(parameters, k).info)) {
        tensor.name = fmt::format("{}.{}", k, tensor.name);
        all.push_back(std::move(tensor));
      }
    }
    return all;
  }

  std::vector<HostScalar> scalars(DType dtype) const override {
    std::vector<HostScalar> all;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      for (auto& scalar : parts_[k].optimizer->scalars(dtype)) {
        scalar.name = fmt::format("{}.{}", k, scalar.name);
        all.push_back(std::move(scalar));
      }
    }
    return all;
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    const DType dtype = context.info.empty() ? DType::float32 : context.info.front().type.dtype;
    std::size_t states = 0, scalars = 0;  // used up by the parts before
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const auto& optimizer = *parts_[k].optimizer;
      const auto members = own(context.info, k);
      const auto first = state.begin() + static_cast<std::ptrdiff_t>(states);
      const auto own_states = optimizer.state(members.info).size();
      const auto own_scalars = optimizer.scalars(dtype).size();
      Values part_updates, part_parameters,
          part_state(first, first + static_cast<std::ptrdiff_t>(own_states));
      for (const auto i : members.index) {
        part_updates.push_back(updates[i]);
        part_parameters.push_back(context.parameters[i]);
      }
      optimizer.update(
          part_updates, part_state,
          {part_parameters, members.info, context.scalars.subspan(scalars, own_scalars)});
      for (std::size_t j = 0; j < members.index.size(); ++j)
        updates[members.index[j]] = part_updates[j];
      std::copy(part_state.begin(), part_state.end(), first);
      states += own_states;
      scalars += own_scalars;
    }
  }

 private:
  struct Members {
    std::vector<std::size_t> index;
    std::vector<Parameter> info;
  };
  // The parameters of part k; the last part has no patterns and takes the rest.
  Members own(const std::vector<Parameter>& parameters, std::size_t k) const {
    Members members;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      std::size_t part = 0;
      while (part + 1 < parts_.size() && !matches_any(parts_[part].match, parameters[i].name))
        ++part;
      if (part != k) continue;
      members.index.push_back(i);
      members.info.push_back(parameters[i]);
    }
    return members;
  }

  std::vector<Part> parts_;
};

}  // namespace

Optimizer partition(std::vector<Part> parts, Optimizer rest) {
  parts.push_back({{}, std::move(rest)});
  for (const auto& part : parts) {
    if (!part.optimizer) throw Error(ErrorKind::usage, "partition: an optimizer is null");
  }
  return std::make_shared<Partition>(std::move(parts));
}

std::vector<Option> group_options() {
  return {{.key = "match",
           .type = OptionType::texts,
           .help = "patterns of parameter names, * for any characters; a parameter belongs to the "
                   "first group that matches it",
           .required = true},
          {.key = "lr",
           .type = OptionType::number,
           .help = "learning rate in the place of optimizer.lr, under the same schedule",
           .min = 0},
          {.key = "weight_decay",
           .type = OptionType::number,
           .help = "in the place of optimizer.weight_decay",
           .min = 0}};
}

Optimizer grouped(const std::string& name, const Options& options, const Schedule& schedule,
                  const std::vector<Group>& groups) {
  const auto& entry = optimizers().at(name, "[optimizer]");
  if (groups.empty()) return entry.make(options, schedule);
  const double clip_norm = options.number("clip_norm");
  Options each = options;
  each.set("clip_norm", 0.0);
  std::vector<Part> parts;
  for (const auto& group : groups) {
    Options own = each;
    if (group.weight_decay) own.set("weight_decay", *group.weight_decay);
    parts.push_back({group.match, entry.make(own, group.schedule)});
  }
  auto all = partition(std::move(parts), entry.make(each, schedule));
  return clip_norm == 0 ? all : chain({clip_by_global_norm(clip_norm), std::move(all)});
}

void require_members(const std::vector<Group>& groups, const std::vector<std::string>& names) {
  std::vector<std::string> left = names;
  for (std::size_t k = 0; k < groups.size(); ++k) {
    const auto what = fmt::format("optimizer.groups.{}.match", k);
    require_matches(groups[k].match, names, what);
    const auto taken =
        std::erase_if(left, [&](const std::string& n) { return matches_any(groups[k].match, n); });
    if (taken > 0) continue;
    throw Error(ErrorKind::usage, fmt::format("{}: the groups before have all it matches", what),
                {}, "put the narrower patterns first");
  }
}

}  // namespace descent::optim
