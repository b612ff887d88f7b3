// The rules of the watchdog by name, each with the options it adds to [health].
#pragma once
#include <memory>

#include "descent/base/registry.h"
#include "descent/train/rule.h"

namespace descent::train {

using HealthRegistry = Registry<std::unique_ptr<Rule>(const Options&)>;
const HealthRegistry& health_rules();

// Defined by the build: calls register_X of every file health/X.cpp.
void register_all(HealthRegistry& registry);

}  // namespace descent::train
