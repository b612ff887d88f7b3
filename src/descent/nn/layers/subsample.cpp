// Every stride-th pixel of an image, with channels of zeros before and after its own (an odd one
// after): the shortcut without parameters of He, Zhang, Ren & Sun 2016 ("option A").
#include <fmt/format.h>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

class Subsample final : public Module {
 public:
  explicit Subsample(SubsampleOptions options) : o_(options) {
    if (o_.stride.h >= 1 && o_.stride.w >= 1 && o_.channels >= 0) return;
    throw Error(ErrorKind::usage, "stride must be at least 1, channels 0 (keeps them) or more",
                "subsample");
  }

  Value operator()(Scope&, const Value& x) const override {
    if (x.rank() != 4) {
      throw Error(ErrorKind::usage,
                  fmt::format("subsample wants images [rows, channels, height, width], not {}",
                              to_string(x.type())));
    }
    const auto more = o_.channels == 0 ? 0 : o_.channels - x.shape()[1];
    if (more < 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} has more than {} channels", to_string(x.type()), o_.channels), {},
                  "subsample only adds channels; a conv2d of 1x1 can take some away");
    }
    // The mean of windows of one pixel: both directions in one pass.
    const Value pixels = avg_pool2d(x, {1, 1, o_.stride.h, o_.stride.w, 0, 0});
    return pad(pixels, 1, more / 2, more - more / 2);
  }

  std::string describe() const override {
    auto text = fmt::format("subsample({}x{}", o_.stride.h, o_.stride.w);
    if (o_.channels > 0) text += fmt::format(", {} channels", o_.channels);
    return text + ")";
  }

 private:
  SubsampleOptions o_;
};

}  // namespace

Layer subsample(SubsampleOptions options) { return std::make_shared<const Subsample>(options); }

void register_subsample(LayerRegistry& registry) {
  registry.add({.name = "subsample",
                .help =
                    "every stride-th pixel, channels of zeros added on both sides: the shortcut "
                    "without parameters of He et al. 2016",
                .options = {described_size("stride", 2, 1, "steps between pixels"),
                            {.key = "channels",
                             .type = OptionType::integer,
                             .fallback = 0,
                             .help = "of the result; 0: as many as there are",
                             .min = 0}},
                .make = [](const Options& options) {
                  return subsample({.stride = size_option(options, "stride", "subsample"),
                                    .channels = options.integer("channels")});
                }});
}

}  // namespace descent::nn
