#include "descent/train/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace descent::train {
namespace {

using nlohmann::json;

constexpr std::int64_t kBins = 40, kSample = 50000;

// The sampled values that are finite; how many were not.
template <class T>
std::vector<double> sample(std::span<const T> all, std::int64_t& not_finite) {
  const auto size = std::ssize(all);
  // An odd stride, so that it does not walk down one column of a matrix.
  const std::int64_t stride = size <= kSample ? 1 : (size / kSample) | 1;
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(size / stride + 1));
  for (std::int64_t i = 0; i < size; i += stride) {
    const auto x = static_cast<double>(all[static_cast<std::size_t>(i)]);
    if (std::isfinite(x)) {
      values.push_back(x);
    } else {
      ++not_finite;
    }
  }
  return values;
}

json histogram(const std::string& name, const Array& array) {
  std::int64_t not_finite = 0;
  const auto values = array.dtype() == DType::float64
                          ? sample<double>(array.as<double>(), not_finite)
                          : sample<float>(array.as<float>(), not_finite);
  json shape = json::array();
  for (const auto d : array.shape()) shape.push_back(d);
  json out = {{"name", name}, {"shape", shape}};
  if (not_finite > 0) out["not_finite"] = not_finite;
  double sum = 0, low = 0, high = 0, squares = 0;
  if (!values.empty()) {
    const auto [least, most] = std::ranges::minmax(values);
    low = least, high = most;
  }
  const auto n = static_cast<double>(std::max<std::size_t>(values.size(), 1));
  for (const double x : values) sum += x;
  for (const double x : values) squares += (x - sum / n) * (x - sum / n);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(kBins), 0);
  for (const double x : values) {
    const double place = high > low ? (x - low) / (high - low) * static_cast<double>(kBins) : 0;
    ++counts[static_cast<std::size_t>(std::min(static_cast<std::int64_t>(place), kBins - 1))];
  }
  out.update({{"low", low},
              {"high", high},
              {"counts", counts},
              {"mean", sum / n},
              {"deviation", std::sqrt(squares / n)},
              {"sampled", values.size()}});
  return out;
}

}  // namespace

json histograms(const nn::Tree& parameters) {
  json all = json::array();
  for (const auto& [name, array] : parameters) {
    const bool plain = array.dtype() == DType::float32 || array.dtype() == DType::float64;
    if (plain && array.size() > 0) all.push_back(histogram(name, array));
  }
  return all;
}

}  // namespace descent::train
