#include "descent/cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/cli/text.h"

namespace descent::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kDiverged = 4;  // ErrorKind::diverged

std::string number(double x) { return std::isfinite(x) ? fmt::format("{:.4g}", x) : "-"; }

// "0.421 +- 0.003"
std::string with_spread(const Spread& s, bool several) {
  if (!several || !std::isfinite(s.mean)) return number(s.mean);
  return fmt::format("{:.4g} +- {:.2g}", s.mean, s.deviation);
}

nlohmann::ordered_json json_number(double x) {
  return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json json_of(const Spread& s) {
  return {{"mean", json_number(s.mean)}, {"deviation", json_number(s.deviation)}};
}

nlohmann::ordered_json json_of(const Trial& t) {
  return {{"seed", t.seed},
          {"directory", t.directory},
          {"reason", t.reason},
          {"exit_code", t.exit_code},
          {"best", json_number(t.best)},
          {"final", json_number(t.last)},
          {"train_loss", json_number(t.train_loss)},
          {"seconds", json_number(t.seconds)},
          {"steps", t.steps}};
}

// The k-th measurement of each trial together: trials end at different times.
plot::Line line_of(const Contender& contender, int colour, std::vector<double> Trial::*x) {
  plot::Line line{.label = contender.label, .colour = colour};
  std::size_t longest = 0;
  for (const auto& t : contender.trials) longest = std::max(longest, t.loss.size());
  for (std::size_t k = 0; k < longest; ++k) {
    std::vector<double> xs, ys;
    for (const auto& t : contender.trials) {
      if (k < t.loss.size()) xs.push_back((t.*x)[k]), ys.push_back(t.loss[k]);
    }
    const auto at = spread_of(xs), loss = spread_of(ys);
    line.x.push_back(at.mean), line.y.push_back(loss.mean);
    line.low.push_back(loss.mean - loss.deviation), line.high.push_back(loss.mean + loss.deviation);
  }
  if (contender.trials.size() < 2) line.low.clear(), line.high.clear();
  if (line.x.size() < 2) line.marker = plot::Marker::points;
  return line;
}

// The upper end of the axis: what is far above most of the curves (the first steps of one that
// diverges) would press them flat. Where all are positive and spread wide, a logarithmic one.
plot::Axis loss_axis(const Comparison& comparison) {
  std::vector<double> all;
  for (const auto& c : comparison.contenders) {
    for (const auto& t : c.trials) {
      for (const double y : t.loss) {
        if (std::isfinite(y)) all.push_back(y);
      }
    }
  }
  plot::Axis axis{.label = comparison.curve};
  if (all.empty()) return axis;
  std::ranges::sort(all);
  axis.log = all.front() > 0 && all.back() > 30 * all.front();
  const double most = all[all.size() * 95 / 100];
  if (all.back() > 100 * std::abs(most)) axis.max = most + 0.5 * (most - all.front());
  return axis;
}

}  // namespace

std::size_t Contender::diverged() const {
  return static_cast<std::size_t>(std::ranges::count(trials, kDiverged, &Trial::exit_code));
}

Spread spread_of(const std::vector<double>& values) {
  double n = 0, sum = 0, squares = 0;
  for (const double v : values) {
    if (std::isfinite(v)) n += 1, sum += v;
  }
  if (n == 0) return {kNaN, kNaN};
  for (const double v : values) {
    if (std::isfinite(v)) squares += (v - sum / n) * (v - sum / n);
  }
  return {sum / n, n > 1 ? std::sqrt(squares / (n - 1)) : 0};
}

Spread spread_of(const Contender& contender, double Trial::*member) {
  std::vector<double> values;
  for (const auto& t : contender.trials) {
    if (t.exit_code != kDiverged) values.push_back(t.*member);
  }
  return spread_of(values);
}

void rank(Comparison& comparison) {
  const auto score = [&](const Contender& c) {
    const double mean = spread_of(c, &Trial::best).mean;
    if (std::isnan(mean)) return std::numeric_limits<double>::infinity();
    return comparison.larger_is_better ? -mean : mean;
  };
  std::ranges::stable_sort(comparison.contenders, [&](const Contender& a, const Contender& b) {
    if (a.diverged() != b.diverged()) return a.diverged() < b.diverged();
    return score(a) < score(b);
  });
}

std::string table_of(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows = {{"", "what", "best " + comparison.metric,
                                                 "final " + comparison.metric, "train loss",
                                                 "seconds", "steps", ""}};
  std::size_t place = 0;
  for (const auto& c : comparison.contenders) {
    const bool several = c.trials.size() > 1;
    const auto lost = c.diverged();
    double steps = 0;
    for (const auto& t : c.trials)
      steps += static_cast<double>(t.steps) / static_cast<double>(c.trials.size());
    rows.push_back({std::to_string(++place), c.label,
                    with_spread(spread_of(c, &Trial::best), several),
                    with_spread(spread_of(c, &Trial::last), several),
                    with_spread(spread_of(c, &Trial::train_loss), several),
                    number(spread_of(c, &Trial::seconds).mean), fmt::format("{:.0f}", steps),
                    lost == 0  ? ""
                    : !several ? c.trials.front().reason
                               : fmt::format("{} of {} diverged", lost, c.trials.size())});
  }
  return table(rows, {true, false, true, true, true, true, true, false});
}

nlohmann::ordered_json json_of(const Comparison& comparison) {
  nlohmann::ordered_json out = {{"metric", comparison.metric},
                                {"larger_is_better", comparison.larger_is_better},
                                {"ranking", nlohmann::ordered_json::array()}};
  for (const auto& c : comparison.contenders) {
    nlohmann::ordered_json one = {{"label", c.label},
                                  {"settings", nlohmann::ordered_json::object()},
                                  {"best", json_of(spread_of(c, &Trial::best))},
                                  {"final", json_of(spread_of(c, &Trial::last))},
                                  {"train_loss", json_of(spread_of(c, &Trial::train_loss))},
                                  {"seconds", json_of(spread_of(c, &Trial::seconds))},
                                  {"diverged", c.diverged()},
                                  {"runs", nlohmann::ordered_json::array()}};
    for (const auto& [key, value] : c.settings) one["settings"][key] = value;
    for (const auto& t : c.trials) one["runs"].push_back(json_of(t));
    out["ranking"].push_back(std::move(one));
  }
  return out;
}

plot::Figure figure_of(const Comparison& comparison) {
  plot::Figure figure;
  figure.columns = 2;
  plot::Panel steps, seconds;
  steps.x = {.label = "steps", .whole = true};
  seconds.x = {.label = "seconds"};
  steps.y = seconds.y = loss_axis(comparison);
  int colour = 0;
  for (const auto& c : comparison.contenders) {
    steps.lines.push_back(line_of(c, colour, &Trial::at));
    seconds.lines.push_back(line_of(c, colour, &Trial::after));
    ++colour;
  }
  figure.panels = {std::move(steps), std::move(seconds)};
  return figure;
}

}  // namespace descent::cli
