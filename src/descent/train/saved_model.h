// A trained model on disk: model.safetensors (variables) and model.json (configuration, transform,
// classes), enough to evaluate, predict or go on elsewhere.
#pragma once
#include <memory>
#include <string>

#include "descent/data/pipeline.h"
#include "descent/nn/module.h"
#include "descent/train/config.h"
#include "descent/train/metrics.h"

namespace descent::train {

struct SavedModel {
  Config config;
  data::Transform transform;
  nn::Layer model;
  nn::Tree variables;  // parameters and buffers

  // From a run directory, a model.json or a model.safetensors beside one.
  static SavedModel load(const std::string& path);
  void save(const std::string& directory) const;
};

// How probable a language model finds a text: sum of log p(token | tokens before it), in nats, over
// all tokens but the first. A text longer than the context is cut into windows.
struct TextScore {
  std::int64_t predicted = 0;  // tokens that count
  double log_likelihood = 0;
};

// The file with the tensors of a run directory, a model.json or a .safetensors file.
std::string model_tensors(const std::string& path);

// Runs a model over rows, in batches, on all threads; results do not depend on their number.
class Predictor {
 public:
  Predictor(const SavedModel& model, int threads);
  ~Predictor();
  // Raw outputs [rows, outputs]: logits, or regression values in the transform's units.
  Array outputs(const data::Dataset& rows);
  // What a user reads: probabilities per class ([rows, classes]; two for a single logit), or values
  // in the file's units.
  Array predict(const data::Dataset& rows);
  std::vector<TextScore> score(const std::vector<std::string>& texts);

 private:
  friend Metrics evaluate(const SavedModel& model, const data::Dataset& rows, int threads);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Loss and the metrics that apply.
Metrics evaluate(const SavedModel& model, const data::Dataset& rows, int threads);

}  // namespace descent::train
