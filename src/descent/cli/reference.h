// docs/configuration.md, made from the schema.
#pragma once
#include <string>

namespace descent::cli {

std::string configuration_reference();

}  // namespace descent::cli
