// What convolutions and their transposes share: the checks, the bias, and the options.
#pragma once
#include <string>
#include <vector>

#include "descent/nn/layers.h"
#include "descent/nn/options.h"
#include "descent/nn/registry.h"

namespace descent::nn {

struct ConvGeometry {
  std::int64_t filters;
  Size2d kernel, stride, dilation;
  std::int64_t groups;
};
// Usage errors in the name of `layer`: a number below 1, filters that groups do not divide.
void check_geometry(const ConvGeometry& geometry, const char* layer);
// The channels of x, too, must be a multiple of `groups`.
void check_groups(const Value& x, std::int64_t groups);

// [outer, inner, kh, kw], along sequences [outer, inner, k].
Shape weight_shape(std::int64_t outer, std::int64_t inner, Size2d kernel, int axes);
// The parameter "bias" of [channels] as it broadcasts against [N, channels, ...]. `init` null: as
// PyTorch, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the fan-in as counted from the weight's shape.
Value channel_bias(Scope& scope, const Value& weight, std::int64_t channels,
                   const Initializer& init);

// For describe(): ", stride 2x2"; ", dilation 2x2, 4 groups, no bias)"; nothing of defaults.
std::string stride_text(Size2d stride, int axes);
std::string rest_text(Size2d dilation, std::int64_t groups, bool bias, int axes);

// ---- options ----
Option filters_option();
Option groups_option();
std::vector<Option> geometry_options(int axes);  // kernel, stride, dilation
std::vector<Option> parameter_options();         // bias, init, bias_init
Initializer weight_init(const Options& options, const std::string& layer);
Initializer bias_init(const Options& options, const std::string& layer);  // null: default
std::vector<Option> joined(const std::vector<std::vector<Option>>& parts);

}  // namespace descent::nn
