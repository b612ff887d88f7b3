// Where a run is written.
#pragma once
#include <memory>
#include <string>

#include "descent/track/sink.h"
#include "descent/train/config.h"

namespace descent::cli {

// "titanic" for titanic.csv.gz, "spirals" for synthetic:spirals, "run" where nothing is left.
std::string name_for(const std::string& path);

// Creates runs/<name>-<n> with the first n that is free.
std::string new_run_directory(const std::string& name);

// A usage error where the directory holds a run.
void check_no_run(const std::string& directory);

// Creates a directory that the user named; removes the files of a run it holds.
void claim_run_directory(const std::string& directory);

// Writes config.toml: the whole resolved configuration.
void write_config(const std::string& directory, const train::Config& config);

// Writes config.toml when the run begins: by then nothing is left open (shards). `config` must
// outlive it.
std::shared_ptr<track::Sink> config_writer(const std::string& directory,
                                           const train::Config& config);

// Path of a file in a directory.
std::string in(const std::string& directory, const std::string& file);

}  // namespace descent::cli
