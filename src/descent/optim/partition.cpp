#include "descent/optim/partition.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/base/glob.h"
#include "descent/ops/ops.h"
#include "descent/optim/optimizers.h"
#include "descent/optim/rule.h"
#include "descent/optim/wrappers.h"

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
    std::int64_t variant = context.variant;
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
      UpdateContext inner{.parameters = part_parameters,
                          .info = members.info,
                          .scalars = context.scalars.subspan(scalars, own_scalars),
                          .variant = variant % optimizer.variants(),
                          .loss = context.loss,
                          .key = context.key,
                          .sampled_loss = context.sampled_loss,
                          .zero_gradients = context.zero_gradients};
      variant /= optimizer.variants();
      give_derivatives(inner, members.index, context);
      optimizer.update(part_updates, part_state, inner);
      for (std::size_t j = 0; j < members.index.size(); ++j)
        updates[members.index[j]] = part_updates[j];
      std::copy(part_state.begin(), part_state.end(), first);
      states += own_states;
      scalars += own_scalars;
    }
  }

  Batches batches() const override {
    auto most = Batches::any;
    for (const auto& part : parts_) most = std::max(most, part.optimizer->batches());
    return most;
  }

  std::int64_t variants() const override { return count_variants(optimizers()); }
  std::int64_t variant(std::int64_t step) const override {
    return joint_variant(optimizers(), step);
  }

  Values averaged(ValueSpan parameters, ValueSpan state,
                  const std::vector<Parameter>& info) const override {
    Values all(parameters.begin(), parameters.end());
    bool some = false;
    std::size_t states = 0;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const auto members = own(info, k);
      const auto own_states = parts_[k].optimizer->state(members.info).size();
      Values part;
      for (const auto i : members.index) part.push_back(parameters[i]);
      part = parts_[k].optimizer->averaged(part, state.subspan(states, own_states), members.info);
      states += own_states;
      if (part.empty()) continue;
      some = true;
      for (std::size_t j = 0; j < members.index.size(); ++j) all[members.index[j]] = part[j];
    }
    return some ? all : Values{};
  }

 private:
  std::vector<Optimizer> optimizers() const {
    std::vector<Optimizer> all;
    for (const auto& part : parts_) all.push_back(part.optimizer);
    return all;
  }

  // A part differentiates with the parameters of the others held where they are.
  static void give_derivatives(UpdateContext& inner, const std::vector<std::size_t>& index,
                               const UpdateContext& context) {
    const auto picked = [index](const Values& all) {
      Values some;
      for (const auto i : index) some.push_back(all[i]);
      return some;
    };
    if (context.gradient_at) {
      inner.gradient_at = [&context, index, picked](ValueSpan part) {
        Values all(context.parameters.begin(), context.parameters.end());
        for (std::size_t j = 0; j < index.size(); ++j) all[index[j]] = part[j];
        return picked(context.gradient_at(all));
      };
    }
    if (context.hessian_product) {
      inner.hessian_product = [&context, index, picked](ValueSpan part) {
        Values all;
        for (const auto& p : context.parameters) all.push_back(zeros_like(p));
        for (std::size_t j = 0; j < index.size(); ++j) all[index[j]] = part[j];
        return picked(context.hessian_product(all));
      };
    }
  }

  struct Members {
    std::vector<std::size_t> index;
    std::vector<Parameter> info;
  };
  // The parameters of part k; the last part has no patterns and takes the rest.
  Members own(const std::vector<Parameter>& parameters, std::size_t k) const {
    Members members;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      std::size_t part = 0;
      while (part + 1 < parts_.size() && !takes(parts_[part], parameters[i])) ++part;
      if (part != k) continue;
      members.index.push_back(i);
      members.info.push_back(parameters[i]);
    }
    return members;
  }

  static bool takes(const Part& part, const Parameter& parameter) {
    return part.takes ? part.takes(parameter) : matches_any(part.match, parameter.name);
  }

  std::vector<Part> parts_;
};

}  // namespace

Optimizer partition(std::vector<Part> parts, Optimizer rest) {
  parts.push_back({{}, std::move(rest), {}});
  for (const auto& part : parts) {
    if (!part.optimizer) throw Error(ErrorKind::usage, "partition: an optimizer is null");
    if (part.optimizer->searches()) {
      throw Error(ErrorKind::usage, "a search needs all parameters together", "partition",
                  "leave out optimizer.groups, or set line_search = \"none\"");
    }
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
  // Norms of all parameters together are taken before the parts.
  const double clip_norm = options.number("clip_norm");
  const double clip_percentile = options.number("clip_percentile");
  Options each = without_sharpness(options);
  each.set("clip_norm", 0.0);
  each.set("clip_percentile", 0.0);
  std::vector<Part> parts;
  for (const auto& group : groups) {
    Options own = each;
    if (group.weight_decay) own.set("weight_decay", *group.weight_decay);
    parts.push_back({group.match, entry.make(own, group.schedule), {}});
  }
  std::vector<Optimizer> links;
  if (auto sharpness = sharpness_from(options)) links.push_back(std::move(sharpness));
  if (clip_norm != 0) links.push_back(clip_by_global_norm(clip_norm));
  if (clip_percentile != 0) {
    links.push_back(clip_by_percentile(clip_percentile, options.integer("clip_window")));
  }
  links.push_back(partition(std::move(parts), entry.make(each, schedule)));
  return links.size() == 1 ? links[0] : chain(std::move(links));
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
