// Configuration files: TOML to and from train::Config.
#pragma once
#include <string>

#include "descent/train/config.h"

namespace descent::cli {

// Values with their places ("job.toml:3:1"). `name` stands for the file in errors. What is no TOML,
// or has a shape that no key can take, is a usage error; keys and types are checked by resolve().
train::RawConfig parse_config(const std::string& text, const std::string& name);
train::RawConfig read_config_file(const std::string& path);

// A whole configuration as TOML: every key under its meaning. Reading it back gives the same
// Config.
std::string config_text(const train::Config& config, const std::string& title);

// The schema with all defaults, as TOML: what `descent train --print-config` shows.
std::string default_config_text();

}  // namespace descent::cli
