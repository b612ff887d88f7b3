#include "descent/nn/registry.h"

namespace descent::nn {
namespace {

template <class Registry>
Registry filled(const char* kind) {
  Registry registry(kind);
  register_all(registry);
  return registry;
}

}  // namespace

const LayerRegistry& layers() {
  static const auto registry = filled<LayerRegistry>("layer");
  return registry;
}

std::vector<Layer> make_layers(const std::vector<LayerConfig>& configs) {
  std::vector<Layer> made;
  for (const auto& config : configs) {
    try {
      made.push_back(layers().at(config.type).make(config.options));
    } catch (const Error& error) {
      throw error.at(config.where);
    }
  }
  return made;
}

const LossRegistry& losses() {
  static const auto registry = filled<LossRegistry>("loss");
  return registry;
}

const PresetRegistry& presets() {
  static const auto registry = filled<PresetRegistry>("model");
  return registry;
}

}  // namespace descent::nn
