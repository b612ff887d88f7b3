// Metrics over a whole data set, from the outputs of all its rows.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "descent/base/array.h"

namespace descent::train {

// In the order they are shown: "loss" first.
using Metrics = std::vector<std::pair<std::string, double>>;
double value_of(const Metrics& metrics, const std::string& name);  // NaN where absent

// Classification from logits [rows, classes] (or one logit a row for two classes): accuracy, top5
// (more than ten classes), log_loss, and precision, recall, f1 (two classes: of class 1; more:
// macro averages), auc (two classes: area under the ROC curve by ranks, ties counted half).
// weights: [rows] or empty.
Metrics classification_metrics(const Array& logits, const Array& targets, const Array& weights);
// The weight of rows of each class (row of the result) that were taken for each class (column),
// from the same: [classes][classes].
std::vector<std::vector<double>> confusion_matrix(const Array& logits, const Array& targets,
                                                  const Array& weights);
// Regression, values and targets [rows, outputs] in the file's units: rmse, mae, r2 (mean over
// outputs).
Metrics regression_metrics(const Array& values, const Array& targets, const Array& weights);

// True where larger is better ("accuracy", "auc", "r2", ...).
bool larger_is_better(const std::string& metric);

}  // namespace descent::train
