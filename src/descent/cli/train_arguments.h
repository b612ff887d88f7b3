// The arguments of `descent train` and the configuration they make.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "descent/train/config.h"

namespace descent::cli {

struct TrainArguments {
  std::string config;  // file; empty: none
  std::vector<std::string> set, drop;
  // As written; empty: not given.
  std::string data, target, model, optimizer, convention, lr, epochs, batch_size, seed;
  std::string out, resume;
  int threads = 0;
  bool overwrite = false, json = false, quiet = false, print_config = false, profile = false,
       dump_plan = false;
};

// CONFIG, the shortcuts and --set: what says which job it is.
void add_configuration(CLI::App& command, TrainArguments& arguments);

// The file, then the shortcuts (--epochs), then --set in order. With --resume the run's own
// config.toml lies beneath it all.
train::RawConfig gather_config(const TrainArguments& arguments);

}  // namespace descent::cli
