// What a curve of losses over rates suggests; the sweep itself is in lr_find.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "descent/train/lr_find.h"

namespace descent::train {
namespace {

using Numbers = std::vector<double>;

double median(Numbers values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Of the two neighbours on each side.
double around(const Numbers& y, std::size_t i) {
  Numbers near;
  for (std::size_t k = i < 2 ? 0 : i - 2; k <= std::min(i + 2, y.size() - 1); ++k) {
    if (k != i) near.push_back(y[k]);
  }
  std::ranges::sort(near);
  const std::size_t n = near.size();
  return n == 0 ? y[i] : (near[(n - 1) / 2] + near[n / 2]) / 2;
}

// 1.4826 times the median deviation is the standard deviation of normal noise.
double spread(const Numbers& residuals) {
  Numbers sizes;
  for (const double r : residuals) sizes.push_back(std::abs(r));
  return 1.4826 * median(sizes);
}

// Puts the median of the neighbours in the place of lone points far from them; gives their number.
// Not at the end, where an explosion looks the same.
std::size_t remove_spikes(Numbers& y) {
  if (y.size() < 5) return 0;
  Numbers near, away;
  for (std::size_t i = 0; i < y.size(); ++i) {
    near.push_back(around(y, i));
    away.push_back(y[i] - near[i]);
  }
  const double noise = spread(away);
  std::size_t found = 0;
  for (std::size_t i = 0; i + 2 < y.size(); ++i) {
    // Eight deviations are no noise; neither is a small share of a quiet curve a spike.
    if (std::abs(away[i]) <= std::max(8 * noise, 0.05 * std::abs(near[i]))) continue;
    // Both sides must agree with each other: else the curve bends here.
    const double left = i > 0 ? y[i - 1] : y[i + 1];
    if (std::abs(y[i] - left) < 2 * std::abs(left - y[i + 1])) continue;
    y[i] = near[i];
    ++found;
  }
  return found;
}

// Bias-corrected exponential mean, in the order of `y`.
Numbers exponential_mean(const Numbers& y, double decay) {
  Numbers out;
  double sum = 0, weight = 0;
  for (const double v : y) {
    sum = decay * sum + (1 - decay) * v;
    weight = decay * weight + (1 - decay);
    out.push_back(sum / weight);
  }
  return out;
}

Numbers smoothed(const Numbers& y, double decay) {
  auto forwards = exponential_mean(y, decay);
  Numbers turned(y.rbegin(), y.rend());
  const auto backwards = exponential_mean(turned, decay);
  for (std::size_t i = 0; i < y.size(); ++i)
    forwards[i] = (forwards[i] + backwards[y.size() - 1 - i]) / 2;
  return forwards;
}

// Slope of the straight line through the points around i, over the logarithm of the rate.
double slope(const std::vector<LrPoint>& p, std::size_t i, std::size_t reach) {
  const std::size_t begin = i < reach ? 0 : i - reach, end = std::min(p.size(), i + reach + 1);
  double x0 = 0, y0 = 0, xy = 0, xx = 0;
  const auto n = static_cast<double>(end - begin);
  for (std::size_t k = begin; k < end; ++k) x0 += std::log10(p[k].lr) / n, y0 += p[k].smooth / n;
  for (std::size_t k = begin; k < end; ++k) {
    const double x = std::log10(p[k].lr) - x0;
    xy += x * (p[k].smooth - y0), xx += x * x;
  }
  return xx > 0 ? xy / xx : 0;
}

struct Fall {
  double level = 0;        // before it
  std::size_t lowest = 0;  // index of the lowest smoothed loss
  double drop = 0, noise = 0;
  bool open = false;  // the sweep was not ended by an explosion
};

Fall find_fall(const std::vector<LrPoint>& p, const Numbers& clean) {
  Fall fall;
  const std::size_t first = std::max<std::size_t>(3, p.size() / 20);
  fall.level = median({clean.begin(), clean.begin() + static_cast<std::ptrdiff_t>(first)});
  const auto lowest = std::ranges::min_element(p, {}, &LrPoint::smooth);
  fall.lowest = static_cast<std::size_t>(lowest - p.begin());
  fall.drop = fall.level - lowest->smooth;
  Numbers away;
  for (std::size_t i = 0; i <= std::max(fall.lowest, first); ++i)
    away.push_back(clean[std::min(i, p.size() - 1)] - p[std::min(i, p.size() - 1)].smooth);
  fall.noise = spread(away);
  return fall;
}

void choose(LrFound& found, const Fall& fall) {
  const auto& p = found.points;
  // Where the fall has begun: below 5 % of it, slopes are noise.
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= fall.lowest; ++i) {
    if (p[i].smooth > fall.level - 0.05 * fall.drop) begin = i;
  }
  std::size_t best = fall.lowest;
  double least = 0;
  const std::size_t reach = std::max<std::size_t>(1, p.size() / 50);
  for (std::size_t i = begin; i <= fall.lowest; ++i) {
    const double s = slope(p, i, reach);
    if (s < least) least = s, best = i;
  }
  found.steepest = p[best].lr;
  found.lowest_at = p[fall.lowest].lr;
  found.careful = std::max(p.front().lr, p[fall.lowest].lr / 10);
  if (fall.lowest + 1 >= p.size() && fall.open) {
    found.warnings.emplace_back("the loss still falls at the highest rate: raise --max");
  }
  if (begin == 0 && best <= reach) {
    found.warnings.emplace_back("the loss falls from the lowest rate on: lower --min");
  }
  if (fall.drop < 4 * fall.noise) {
    found.warnings.emplace_back(
        "the fall is hardly larger than the noise of the batches: use --repeats, or larger "
        "batches");
  }
}

}  // namespace

LrFound suggest_rate(std::span<const double> lr, std::span<const double> loss, double smoothing) {
  LrFound found;
  Numbers clean;
  for (std::size_t i = 0; i < lr.size(); ++i) {
    if (!std::isfinite(loss[i])) continue;
    found.points.push_back({lr[i], loss[i], loss[i]});
    clean.push_back(loss[i]);
  }
  if (const auto lost = lr.size() - clean.size(); lost > 0) {
    found.warnings.push_back(
        fmt::format("{} loss{} not finite: left out", lost, lost == 1 ? " was" : "es were"));
  }
  if (clean.size() < 10) {
    found.reason = fmt::format(
        "only {} losses are finite: lower --max and --min, or normalise the data", clean.size());
    return found;
  }
  if (const auto spikes = remove_spikes(clean); spikes > 0) {
    found.warnings.push_back(fmt::format("{} spike{} in the losses: taken as the neighbours are",
                                         spikes, spikes == 1 ? "" : "s"));
  }
  // An explosion counts as a rise, not by its size, which would reach far back.
  const double first = median({clean.begin(), clean.begin() + 5});
  const double least = std::ranges::min(clean);
  const double ceiling = first + std::max(0.5 * std::abs(first), first - least);
  for (double& y : clean) y = std::min(y, ceiling);
  const double decay =
      smoothing > 0 ? smoothing : std::max(0.0, 1 - 20 / static_cast<double>(lr.size()));
  const auto smooth = smoothed(clean, decay);
  for (std::size_t i = 0; i < smooth.size(); ++i) found.points[i].smooth = smooth[i];
  auto fall = find_fall(found.points, clean);
  fall.open = std::isfinite(loss.back());
  // Twice the noise is more than a smoothed curve of nothing but noise falls; less than half a per
  // cent of the loss is nothing that one would train for.
  if (fall.lowest == 0 || fall.drop <= std::max(2 * fall.noise, 0.005 * std::abs(fall.level))) {
    found.reason =
        "the loss does not fall at any rate: look at the data and the loss, use more --steps or "
        "another range (--min, --max)";
    return found;
  }
  choose(found, fall);
  return found;
}

}  // namespace descent::train
