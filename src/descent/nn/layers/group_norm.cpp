// Group normalisation: y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and (biased)
// variance over each row's group of channels with all their positions; weight and bias of each
// channel. Wu & He 2018. Instance normalisation (Ulyanov, Vedaldi & Lempitsky 2016): each channel a
// group. Names and defaults of torch.nn.GroupNorm and InstanceNorm1d, 2d.
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class GroupNorm final : public Module {
 public:
  // No groups: each channel is one.
  GroupNorm(const char* kind, std::optional<std::int64_t> groups, double eps, bool affine)
      : kind_(kind), groups_(groups), eps_(eps), affine_(affine) {
    if (groups.value_or(1) >= 1 && eps > 0) return;
    throw Error(ErrorKind::usage,
                fmt::format("groups {} must be at least 1 and eps {} above 0", *groups, eps), kind);
  }

  Value operator()(Scope& scope, const Value& x) const override {
    check_input(x);
    const auto channels = x.shape()[1];
    const Value rows = reshape(x, {x.shape()[0], groups_.value_or(channels), -1});
    const Value centred = rows - mean(rows, {2}, true);
    const Value normed = centred * rsqrt(mean(square(centred), {2}, true) + eps_);
    const Value y = reshape(normed, x.shape());
    if (!affine_) return y;
    // One number for each channel, as it broadcasts against x.
    std::vector<std::int64_t> extents(static_cast<std::size_t>(x.rank() - 1), 1);
    extents[0] = channels;
    const Shape wide(std::move(extents));
    const auto weight = scope.parameter("weight", {channels}, ones(), false);
    const auto bias = scope.parameter("bias", {channels}, zeros(), false);
    return y * reshape(weight, wide) + reshape(bias, wide);
  }

  std::string describe() const override {
    return groups_ ? fmt::format("{}({} groups)", kind_, *groups_) : kind_;
  }

 private:
  void check_input(const Value& x) const {
    const int least = groups_ ? 2 : 3;
    if (x.rank() < least) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} wants [rows, channels, {}], not {}", kind_,
                              groups_ ? "..." : "height, width or length", to_string(x.type())));
    }
    const auto channels = x.shape()[1];
    if (groups_ && channels % *groups_ != 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} channels of {} cannot be cut into {} groups", channels,
                              to_string(x.type()), *groups_),
                  {}, "let groups divide the channels");
    }
    auto values = groups_ ? channels / *groups_ : 1;
    for (int axis = 2; axis < x.rank(); ++axis) values *= x.shape()[axis];
    if (values > 1) return;
    throw Error(ErrorKind::usage,
                fmt::format("{} of {} has one value in each group, which would always become 0",
                            kind_, to_string(x.type())),
                {}, "use fewer groups, or leave the layer out");
  }

  const char* kind_;
  std::optional<std::int64_t> groups_;
  double eps_;
  bool affine_;
};

Option eps_option() {
  return {
      .key = "eps", .type = OptionType::number, .fallback = 1e-5, .help = "added to the variance"};
}

Option affine_option(bool fallback) {
  return {.key = "affine",
          .type = OptionType::boolean,
          .fallback = fallback,
          .help = "scale and shift by trained parameters"};
}

}  // namespace

Layer group_norm(std::int64_t groups, GroupNormOptions options) {
  return std::make_shared<const GroupNorm>("group_norm", groups, options.eps, options.affine);
}

Layer instance_norm(InstanceNormOptions options) {
  return std::make_shared<const GroupNorm>("instance_norm", std::nullopt, options.eps,
                                           options.affine);
}

void register_group_norm(LayerRegistry& registry) {
  registry.add({.name = "group_norm",
                .help = "each group of channels of each row to mean 0 and variance 1 "
                        "(torch.nn.GroupNorm)",
                .options = {{.key = "groups",
                             .type = OptionType::integer,
                             .help = "how many groups; they divide the channels",
                             .min = 1,
                             .required = true},
                            eps_option(),
                            affine_option(true)},
                .make = [](const Options& o) {
                  return group_norm(o.integer("groups"),
                                    {.eps = o.number("eps"), .affine = o.boolean("affine")});
                }});
  registry.add({.name = "instance_norm",
                .help =
                    "each channel of each row to mean 0 and variance 1 (torch.nn.InstanceNorm1d, "
                    "2d)",
                .options = {eps_option(), affine_option(false)},
                .make = [](const Options& o) {
                  return instance_norm({.eps = o.number("eps"), .affine = o.boolean("affine")});
                }});
}

}  // namespace descent::nn
