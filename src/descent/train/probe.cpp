#include "descent/train/probe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/ops/ops.h"

namespace descent::train {
namespace {

enum class Kind { none, plain, relu, tanh, sigmoid };

Kind kind_of(const std::string& name) {
  if (name == "relu") return Kind::relu;
  if (name == "tanh") return Kind::tanh;
  if (name == "sigmoid") return Kind::sigmoid;
  for (const char* other : {"leaky_relu", "gelu", "silu", "softplus"}) {
    if (name == other) return Kind::plain;
  }
  return Kind::none;
}

// All axes but that of the units: channels of images, else the last.
std::vector<int> axes_of_rows(const Value& y) {
  const int units = y.rank() >= 4 ? 1 : y.rank() - 1;
  std::vector<int> axes;
  for (int axis = 0; axis < y.rank(); ++axis) {
    if (axis != units) axes.push_back(axis);
  }
  return axes;
}

void add_activation(const Value& given, Kind kind, Values& out) {
  const Value y = stop_gradient(given);
  if (kind == Kind::relu) {
    // Nothing is below 0: a mean of 0 says that all are 0.
    const Value units = batch_mean(y, axes_of_rows(y));
    out.push_back(mean(units));
    out.push_back(batch_mean(square(y)));
    out.push_back(mean(equal_mask(units, 0.0)));
    return;
  }
  out.push_back(batch_mean(y));
  out.push_back(batch_mean(square(y)));
  if (kind == Kind::tanh) out.push_back(batch_mean(greater_mask(abs(y), kSaturated)));
  if (kind == Kind::sigmoid) out.push_back(batch_mean(greater_mask(abs(y - 0.5), kSaturated / 2)));
}

ValueRange range_of(const Value& v, int shards) {
  ValueRange range{.low = std::numeric_limits<double>::infinity(),
                   .high = -std::numeric_limits<double>::infinity()};
  for (int s = 0; s < (v.per_shard() ? shards : 1); ++s) {
    const Array& a = v.array(s);
    range.size += a.size();
    for (std::int64_t i = 0; i < a.size(); ++i) {
      const double x = a.item(i);
      if (!std::isfinite(x)) ++range.bad;
      if (std::isnan(x)) continue;
      range.low = std::min(range.low, x);
      range.high = std::max(range.high, x);
    }
  }
  return range;
}

}  // namespace

double ParameterSeen::update_ratio() const {
  if (update_norm == 0) return 0;
  return update_norm / weight_norm;
}

std::string ParameterSeen::layer() const {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

std::string ActivationSeen::label() const { return "layer " + name + " " + kind; }

double Observation::most_silent() const {
  double most = 0;
  for (const auto& a : activations) {
    if (!a.last) most = std::max({most, a.dead, a.saturated});
  }
  return most;
}

Values StepProbe::outputs(const Traced& step) {
  Values out;
  for (std::size_t i = 0; i < step.parameters.size(); ++i) {
    const Value &w = step.parameters[i], &g = step.gradients[i];
    out.push_back(sum(square(g)));
    out.push_back(sum(abs(g)));
    out.push_back(sum(not_equal_mask(g, 0.0)));
    out.push_back(sum(square(w)));
    out.push_back(sum(square(step.next[i] - w)));
  }
  layers_.clear();
  for (const auto& layer : step.layers) {
    const Kind kind = kind_of(layer.kind);
    if (kind == Kind::none || layer.value.rank() < 2) continue;
    layers_.push_back(
        {.name = layer.name, .kind = layer.kind, .last = layer.value == step.prediction});
    add_activation(layer.value, kind, out);
  }
  return out;
}

Observation StepProbe::read(const std::vector<optim::Parameter>& parameters,
                            std::span<const double> values) const {
  Observation seen;
  std::size_t at = 0;
  for (const auto& p : parameters) {
    const double *v = &values[at], count = v[2];
    at += 5;
    seen.parameters.push_back({.name = p.name,
                               .matrix = p.type.shape.rank() >= 2,
                               .gradient_norm = std::sqrt(v[0]),
                               .mean_gradient = count > 0 ? v[1] / count : 0,
                               .weight_norm = std::sqrt(v[3]),
                               .update_norm = std::sqrt(v[4])});
  }
  for (ActivationSeen a : layers_) {
    const Kind kind = kind_of(a.kind);
    a.mean = values[at++];
    a.deviation = std::sqrt(std::max(0.0, values[at++] - a.mean * a.mean));
    if (kind == Kind::relu) a.dead = values[at++];
    if (kind == Kind::tanh || kind == Kind::sigmoid) a.saturated = values[at++];
    seen.activations.push_back(std::move(a));
  }
  return seen;
}

Values RangeProbe::outputs(const Traced& step) {
  for (const auto& layer : step.layers) {
    layers_.push_back(range_of(layer.value, shards_));
    layers_.back().name = layer.name;
    layers_.back().kind = layer.kind;
  }
  for (const auto& g : step.gradients) {
    gradients_.push_back(range_of(g, shards_));
    gradients_.back().kind = "gradient";
  }
  return {};
}

}  // namespace descent::train
