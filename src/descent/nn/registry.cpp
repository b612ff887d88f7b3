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

const LossRegistry& losses() {
  static const auto registry = filled<LossRegistry>("loss");
  return registry;
}

const PresetRegistry& presets() {
  static const auto registry = filled<PresetRegistry>("model");
  return registry;
}

}  // namespace descent::nn
