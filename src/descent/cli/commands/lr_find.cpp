// descent lr-find: a learning rate by the range test (train/lr_find.h).
#include "descent/train/lr_find.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/cli/train_arguments.h"
#include "descent/plot/figure.h"
#include "descent/track/terminal.h"

namespace descent::cli {
namespace {

struct Arguments {
  TrainArguments job;
  train::LrFindOptions test;
  std::string plot;
  bool json = false, quiet = false;
};

// Two digits say as much of a rate as the test knows.
std::string rate(double lr) { return fmt::format("{:.2g}", lr); }

// The curve in characters: a dot for a loss, a star for the smoothed one, | at the suggestion.
std::string drawn(const train::LrFound& found) {
  constexpr int width = 66, height = 12;
  const auto& p = found.points;
  double low = p.front().smooth, high = low;
  for (const auto& point : p) {
    low = std::min(low, point.smooth), high = std::max(high, point.smooth);
  }
  const double left = std::log10(p.front().lr), right = std::log10(p.back().lr);
  const auto column = [&](double lr) {
    const double part = right > left ? (std::log10(lr) - left) / (right - left) : 0;
    return static_cast<std::size_t>(std::lround(part * (width - 1)));
  };
  std::vector<std::string> rows(height, std::string(width, ' '));
  const auto put = [&](double lr, double y, char mark) {
    if (high <= low || y < low || y > high) return;
    const auto row =
        static_cast<std::size_t>(std::lround((high - y) / (high - low) * (height - 1)));
    rows[row][column(lr)] = mark;
  };
  if (found.steepest) {
    for (auto& row : rows) row[column(*found.steepest)] = '|';
  }
  for (const auto& point : p) put(point.lr, point.loss, '.');
  for (const auto& point : p) put(point.lr, point.smooth, '*');
  std::string out;
  for (int i = 0; i < height; ++i) {
    const auto label = i == 0            ? fmt::format("{:.4g}", high)
                       : i == height - 1 ? fmt::format("{:.4g}", low)
                                         : std::string();
    out += fmt::format("{:>10}  {}\n", label, rows[static_cast<std::size_t>(i)]);
  }
  const auto end = rate(p.back().lr);
  return out + fmt::format("{:>10}  {}{:>{}}\n", "", rate(p.front().lr), end,
                           static_cast<std::size_t>(width) - rate(p.front().lr).size());
}

// A row for about each half decade.
std::string curve_table(const train::LrFound& found) {
  std::vector<std::vector<std::string>> rows = {{"rate", "loss", "smoothed"}};
  double next = 0;
  for (const auto& p : found.points) {
    if (p.lr < next && &p != &found.points.back()) continue;
    next = p.lr * std::sqrt(10.0) * 0.999;
    rows.push_back({rate(p.lr), fmt::format("{:.4g}", p.loss), fmt::format("{:.4g}", p.smooth)});
  }
  return table(rows, {true, true, true});
}

void save_plot(const Arguments& a, const train::LrFound& found) {
  plot::Panel panel{.title = "Range test"};
  panel.x = {.label = "learning rate", .log = true};
  panel.y = {.label = "loss after the step"};
  plot::Line smooth{.label = "smoothed"};
  plot::Scatter raw{.label = "loss", .radius = 1.5};
  double low = found.points.front().smooth, high = low;
  for (const auto& p : found.points) {
    smooth.x.push_back(p.lr), smooth.y.push_back(p.smooth);
    low = std::min(low, p.smooth), high = std::max(high, p.smooth);
  }
  // Losses far above the smoothed curve would press it flat.
  for (const auto& p : found.points) {
    if (p.loss <= high + 0.2 * (high - low)) raw.x.push_back(p.lr), raw.y.push_back(p.loss);
  }
  panel.lines.push_back(smooth);
  panel.points.push_back(raw);
  if (found.steepest) panel.marks.push_back({.x = *found.steepest, .label = "steepest"});
  if (found.careful) panel.marks.push_back({.x = *found.careful, .label = "careful"});
  plot::Figure figure;
  figure.panels.push_back(panel);
  figure.save(a.plot);
}

nlohmann::ordered_json json_of(const train::LrFound& found) {
  const auto number = [](const std::optional<double>& x) {
    return x ? nlohmann::ordered_json(*x) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json out = {{"suggestion", number(found.steepest)},
                                {"careful", number(found.careful)},
                                {"lowest_loss_at", number(found.lowest_at)},
                                {"reason", found.reason},
                                {"ended", found.ended},
                                {"warnings", found.warnings},
                                {"points", nlohmann::ordered_json::array()}};
  for (const auto& p : found.points)
    out["points"].push_back({{"lr", p.lr}, {"loss", p.loss}, {"smoothed", p.smooth}});
  return out;
}

void tell(const Arguments& a, const train::LrFound& found) {
  if (!found.points.empty()) {
    fmt::print("{}\n{}\n", curve_table(found), drawn(found));
  }
  if (!found.ended.empty()) fmt::print(stderr, "ended      {}\n", found.ended);
  for (const auto& line : found.warnings) fmt::print(stderr, "warning    {}\n", line);
  if (!found.steepest) {
    fmt::print("suggestion none: {}\n", found.reason);
    return;
  }
  fmt::print("suggestion {:<8} where the loss falls fastest: --set optimizer.lr={}\n",
             rate(*found.steepest), rate(*found.steepest));
  fmt::print("careful    {:<8} a tenth of the rate with the lowest loss, {}\n",
             rate(*found.careful), rate(*found.lowest_at));
  if (!a.plot.empty()) fmt::print("plot       {}\n", a.plot);
}

int run(const Arguments& a) {
  if (!a.plot.empty()) plot::require_format(a.plot, {"svg", "png"}, "--plot");
  track::TerminalSink sink({.results = stderr, .quiet = a.quiet || a.json});
  train::Job job = train::prepare(train::resolve(gather_config(a.job)), sink);
  const auto found = train::lr_find(job, a.test);
  if (!a.plot.empty() && !found.points.empty()) save_plot(a, found);
  if (a.json) {
    fmt::print("{}\n", json_of(found).dump());
  } else {
    tell(a, found);
  }
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  add_configuration(command, a.job);
  command.add_option("--min", a.test.min, "Lowest rate [1e-7]")->type_name("X");
  command.add_option("--max", a.test.max, "Highest rate [10]")->type_name("X");
  command.add_option("--steps", a.test.steps, "Steps of the sweep [an epoch, 100 to 200]")
      ->type_name("N");
  command.add_option("--burn-in", a.test.burn_in, "Steps at the lowest rate before [5]")
      ->type_name("N");
  command
      .add_option("--smoothing", a.test.smoothing,
                  "Decay of the exponential mean, 0 to 1 [1 - 20 / steps]")
      ->type_name("X");
  command
      .add_option("--repeats", a.test.repeats,
                  "Sweeps with seeds of their own, of which the median counts [1]")
      ->type_name("N");
  command.add_option("--plot", a.plot, "Draw the curve: .svg or .png")->type_name("FILE");
  add_threads(command, a.test.threads, "Threads [all processors]; no effect on results");
  command.add_flag("--json", a.json, "Print one JSON object");
  command.add_flag("--quiet", a.quiet, "Only warnings and the result");
}

}  // namespace

void register_lr_find(Commands& commands) {
  commands.add<Arguments>("lr-find", "Find a learning rate by a range test", describe, run);
}

}  // namespace descent::cli
