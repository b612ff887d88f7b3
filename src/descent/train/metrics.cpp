#include "descent/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace descent::train {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

// Area under the ROC curve of `score` for class 1: the probability that a positive row has the
// higher score, ties counted half (Mann-Whitney U), weighted. NaN where a class has no rows.
double area_under_curve(const std::vector<double>& score, const std::vector<std::int64_t>& label,
                        const std::vector<double>& weight) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return score[a] < score[b]; });
  double negatives = 0, positives = 0, won = 0;
  for (std::size_t i = 0; i < order.size();) {
    double tied_negative = 0, tied_positive = 0;
    std::size_t j = i;
    for (; j < order.size() && score[order[j]] == score[order[i]]; ++j) {
      (label[order[j]] == 1 ? tied_positive : tied_negative) += weight[order[j]];
    }
    won += tied_positive * (negatives + tied_negative / 2);
    negatives += tied_negative;
    positives += tied_positive;
    i = j;
  }
  return negatives == 0 || positives == 0 ? kNaN : won / (negatives * positives);
}

struct Confusion {
  std::vector<double> right, predicted, actual;
  explicit Confusion(std::size_t classes) : right(classes), predicted(classes), actual(classes) {}
};

// Precision, recall and F1 of class 1 of two, or the plain mean over the classes that occur.
void add_f1(Metrics& m, const Confusion& c) {
  const std::size_t classes = c.right.size();
  double precision = 0, recall = 0, f1 = 0, counted = 0;
  for (std::size_t k = classes == 2 ? 1 : 0; k < classes; ++k) {
    if (c.actual[k] == 0 && c.predicted[k] == 0) continue;
    const double p = ratio(c.right[k], c.predicted[k]), r = ratio(c.right[k], c.actual[k]);
    precision += p, recall += r, f1 += ratio(2 * p * r, p + r), counted += 1;
  }
  m.emplace_back("precision", ratio(precision, counted));
  m.emplace_back("recall", ratio(recall, counted));
  m.emplace_back("f1", ratio(f1, counted));
}

std::vector<double> weights_of(const Array& weights, std::int64_t rows) {
  return weights ? weights.to_vector() : std::vector<double>(static_cast<std::size_t>(rows), 1.0);
}

}  // namespace

double value_of(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  return kNaN;
}

Metrics classification_metrics(const Array& logits, const Array& targets, const Array& weights) {
  const std::int64_t rows = logits.shape()[0],
                     outputs = logits.size() / std::max<std::int64_t>(rows, 1);
  const std::int64_t classes = outputs == 1 ? 2 : outputs;
  const auto w = weights_of(weights, rows);
  const auto label = targets.as<std::int64_t>();
  Confusion confusion(static_cast<std::size_t>(classes));
  std::vector<double> z(static_cast<std::size_t>(classes)), score(static_cast<std::size_t>(rows));
  double total = 0, right = 0, in_five = 0, log_loss = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t k = 0; k < outputs; ++k)
      z[static_cast<std::size_t>(outputs == 1 ? 1 : k)] = logits.item(i * outputs + k);
    const auto y = static_cast<std::size_t>(label[static_cast<std::size_t>(i)]);
    const double wi = w[static_cast<std::size_t>(i)];
    const auto best = static_cast<std::size_t>(std::max_element(z.begin(), z.end()) - z.begin());
    double sum = 0;
    for (const double v : z) sum += std::exp(v - z[best]);
    log_loss += wi * (z[best] + std::log(sum) - z[y]);
    in_five +=
        wi * (std::count_if(z.begin(), z.end(), [&](double v) { return v > z[y]; }) < 5 ? 1 : 0);
    total += wi;
    right += best == y ? wi : 0;
    confusion.right[y] += best == y ? wi : 0;
    confusion.predicted[best] += wi;
    confusion.actual[y] += wi;
    score[static_cast<std::size_t>(i)] = z.size() == 2 ? z[1] - z[0] : 0;
  }
  Metrics m = {{"accuracy", ratio(right, total)}, {"log_loss", ratio(log_loss, total)}};
  if (classes > 10) m.emplace_back("top5", ratio(in_five, total));
  add_f1(m, confusion);
  if (classes == 2) m.emplace_back("auc", area_under_curve(score, {label.begin(), label.end()}, w));
  return m;
}

std::vector<std::vector<double>> confusion_matrix(const Array& logits, const Array& targets,
                                                  const Array& weights) {
  const std::int64_t rows = logits.shape()[0],
                     outputs = logits.size() / std::max<std::int64_t>(rows, 1);
  const auto classes = static_cast<std::size_t>(outputs == 1 ? 2 : outputs);
  const auto w = weights_of(weights, rows);
  const auto label = targets.as<std::int64_t>();
  std::vector<std::vector<double>> counts(classes, std::vector<double>(classes));
  for (std::int64_t i = 0; i < rows; ++i) {
    std::int64_t best = outputs == 1 && logits.item(i) > 0 ? 1 : 0;
    for (std::int64_t k = 1; k < outputs; ++k) {
      if (logits.item(i * outputs + k) > logits.item(i * outputs + best)) best = k;
    }
    const auto row = static_cast<std::size_t>(i);
    counts[static_cast<std::size_t>(label[row])][static_cast<std::size_t>(best)] += w[row];
  }
  return counts;
}

Metrics regression_metrics(const Array& values, const Array& targets, const Array& weights) {
  const std::int64_t rows = values.shape()[0],
                     outputs = values.size() / std::max<std::int64_t>(rows, 1);
  const auto w = weights_of(weights, rows);
  double square = 0, absolute = 0, r2 = 0;
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  for (std::int64_t k = 0; k < outputs; ++k) {
    double mean = 0, residual = 0, spread = 0;
    for (std::int64_t i = 0; i < rows; ++i)
      mean += w[static_cast<std::size_t>(i)] * targets.item(i * outputs + k);
    mean = ratio(mean, total);
    for (std::int64_t i = 0; i < rows; ++i) {
      const double y = targets.item(i * outputs + k), e = values.item(i * outputs + k) - y,
                   wi = w[static_cast<std::size_t>(i)];
      residual += wi * e * e, spread += wi * (y - mean) * (y - mean), absolute += wi * std::abs(e);
    }
    square += residual;
    r2 += spread == 0 ? kNaN : 1 - residual / spread;
  }
  const auto n = static_cast<double>(outputs);
  return {{"rmse", std::sqrt(ratio(square, total * n))},
          {"mae", ratio(absolute, total * n)},
          {"r2", r2 / n}};
}

bool larger_is_better(const std::string& metric) {
  static const std::vector<std::string> all = {"accuracy", "top5", "precision", "recall",
                                               "f1",       "auc",  "r2"};
  return std::find(all.begin(), all.end(), metric) != all.end();
}

}  // namespace descent::train
