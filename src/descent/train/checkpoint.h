// Checkpoints of a run directory: checkpoints/step-000000123.safetensors, and best.safetensors.
#pragma once
#include <optional>
#include <string>

#include "descent/data/tokenizer.h"
#include "descent/track/sink.h"
#include "descent/train/state.h"

namespace descent::train {

// Writes atomically, then removes all but the newest `keep`.
void save_checkpoint(const std::string& run_directory, const TrainState& state, std::int64_t keep);
void save_best(const std::string& run_directory, const TrainState& state);

// The newest checkpoint that is whole and fits; others are passed over with a warning. Nothing:
// there is none. A data error where there are some and none can be used.
std::optional<TrainState> load_newest(const std::string& run_directory, const TrainState& like,
                                      track::Sink& sink);

bool has_checkpoint(const std::string& run_directory);

// What the checkpoints' tokens mean: checkpoints/tokenizer.json. A model of as many tokens would
// fit another text without a word.
void save_tokenizer(const std::string& run_directory, const data::Tokenizer& tokenizer);
// A data error where the run began with another tokenizer than this one, that of the data.
void check_tokenizer(const std::string& run_directory, const data::Tokenizer& tokenizer);

}  // namespace descent::train
