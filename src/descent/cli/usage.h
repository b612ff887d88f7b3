// Mistakes in the command line, told as all errors are.
#pragma once
#include <CLI/CLI.hpp>

#include "descent/base/error.h"

namespace descent::cli {

// What CLI11 found, as an error of kind usage.
Error usage_error(const CLI::App& app, const CLI::ParseError& error);

// Throws where arguments were left over: unknown commands and options, with a suggestion.
void check_extras(const CLI::App& app);

}  // namespace descent::cli
