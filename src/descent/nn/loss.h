// Losses: a scalar of the whole batch from predictions and targets.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "descent/ir/fn.h"

namespace descent::nn {

// prediction: [rows, outputs] of this shard; target: classification int64 [rows] (some losses take
// probabilities [rows, classes] too), regression [rows, outputs] of the prediction's type; language
// models [rows, positions, vocabulary] and int64 [rows, positions]; weight: [rows] or null (all
// one).
// Returns the weighted mean over the rows of the whole batch (all shards): sum w l / sum w,
// replicated, so that it can be differentiated.
struct Loss {
  std::string name;
  bool classification = false;  // wants class labels and one output per class
  // Per row: [rows]. Aggregation over rows and shards is the same for all: weighted_mean().
  std::function<Value(const Value& prediction, const Value& target)> rows;
  // Class weights (cross-entropy) enter the mean as row weights, as in PyTorch. Null, or a null
  // result: none.
  std::function<Value(const Value& target, DType dtype)> row_weights;
  // Targets drawn from the distribution of which the loss is the negative logarithm (but for a
  // constant), for the Fisher matrix; no gradient flows through them. Null: there is none.
  std::function<Value(const Value& prediction, const Value& key)> sample;

  Value operator()(const Value& prediction, const Value& target, const Value& weight = {}) const;
};

// sum(w x) / sum(w) over all rows and shards; weight null: the mean. Rows of weight zero count as
// if they were not there; where all are, the mean is 0.
Value weighted_mean(const Value& rows, const Value& weight);

// For the library's users; the registry has the same under these names. Each row's loss is the mean
// over its outputs. Shapes that would only fit by broadcasting are an error.
Loss mse();                      // (p - t)^2; torch.nn.MSELoss
Loss mae();                      // |p - t|, derivative 0 at 0; torch.nn.L1Loss
Loss huber(double delta = 1.0);  // e^2 / 2 where e = |p - t| <= delta, else delta (e - delta / 2)

struct CrossEntropyOptions {
  double label_smoothing = 0;         // the share of probability spread over all classes
  std::vector<double> class_weights;  // empty: all one
};
// -log softmax(p)[t], or -sum_c t_c log softmax(p)_c where t are probabilities [rows, classes];
// torch.nn.CrossEntropyLoss with its label smoothing and class weights (for labels the mean is
// divided by the sum of the rows' class weights). Also p [rows, positions, classes] and labels
// [rows, positions]: the loss of a row is the mean over its positions.
Loss cross_entropy(const CrossEntropyOptions& options = {});
// softplus(z) - y z from logits z; torch.nn.BCEWithLogitsLoss. Target: labels int64 [rows] (one
// output: 0 or 1; more: each class against the rest), or numbers in [0, 1] as the prediction.
Loss binary_cross_entropy();
// Labels int64 [rows]. One output f: max(0, 1 - y f), y = +1 for positive labels, else -1. More:
// max(0, 1 + max_{j != t} f_j - f_t), Crammer & Singer 2001 (keras CategoricalHinge; PyTorch's
// MultiMarginLoss is another).
Loss hinge();

}  // namespace descent::nn
