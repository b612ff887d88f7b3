// Rows for a trained model: from a file, from standard input, or a part of the run's own data.
#pragma once
#include <string>

#include "descent/data/pipeline.h"
#include "descent/train/saved_model.h"

namespace descent::cli {

struct ModelInput {
  data::Dataset rows;
  std::string description;              // "test split of titanic.csv, 89 rows"
  std::vector<std::string> files = {};  // of each row, where each is a file of its own (images)
};

// Rows of `path` ("-": standard input), with targets where need_target is set. strict: a malformed
// row is an error, so that there is one result for each row.
ModelInput rows_of_file(const train::SavedModel& model, const std::string& path, bool need_target,
                        bool strict);

// A part of the run's data, split as in training: "train", "valid" or "test"; empty: test, or
// where the run kept no test rows, valid.
ModelInput rows_of_run(const train::SavedModel& model, const std::string& part);

}  // namespace descent::cli
