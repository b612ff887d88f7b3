// The options of the section [data] of a configuration.
#pragma once
#include <vector>

#include "descent/base/options.h"

namespace descent::data {

// The options that every source shares, then those that the readers and tokenizers add (each
// describes its own in its file), without duplicates. Relative paths are relative to the working
// directory.
std::vector<Option> options();

// The section's defaults, as resolve() would fill them in, with nothing given.
Options default_options();
// What is given, and the defaults of what is not.
Options with_defaults(const Options& given);

}  // namespace descent::data
