// descent compare: trains several variants of a configuration and shows them side by side.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/comparison.h"
#include "descent/cli/grid.h"
#include "descent/cli/interrupt.h"
#include "descent/cli/registry.h"
#include "descent/cli/run_directory.h"
#include "descent/cli/train_arguments.h"
#include "descent/data/shared.h"
#include "descent/track/jsonl.h"
#include "descent/track/report.h"
#include "descent/train/metrics.h"
#include "descent/train/trainer.h"

namespace descent::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Arguments {
  TrainArguments job;
  int seeds = 1;
  std::string plot;
};

// What a trial needs of what a run tells.
class Curve final : public track::Sink {
 public:
  Curve(std::string metric, bool larger) : metric_(std::move(metric)), larger_(larger) {}
  void record(const track::Record& record) override {
    if (record.split == "test") return;
    steps_ = record.step, seconds_ = record.seconds;
    for (const auto& [name, value] : record.values) {
      if (name == "loss") add(record, value);
      if (record.split == "train" && name == "loss") train_loss_ = value;
      if (record.split == "valid" && name == metric_) take(value);
    }
  }
  void message(track::Level level, const std::string& label, const std::string& text) override {
    if (level == track::Level::warning) fmt::print(stderr, "{:<8} {}\n", label, text);
  }
  void finish(Trial& trial) const {
    const auto& points = valid_.empty() ? train_ : valid_;
    for (const auto& [step, seconds, loss] : points) {
      trial.at.push_back(step), trial.after.push_back(seconds), trial.loss.push_back(loss);
    }
    // Without validation rows the training loss is all there is.
    trial.best = valid_.empty() ? train_loss_ : best_;
    trial.last = valid_.empty() ? train_loss_ : last_;
    trial.train_loss = train_loss_, trial.seconds = seconds_, trial.steps = steps_;
  }
  bool validated() const { return !valid_.empty(); }

 private:
  struct Point {
    double step, seconds, loss;
  };
  void add(const track::Record& record, double loss) {
    (record.split == "valid" ? valid_ : train_)
        .push_back({static_cast<double>(record.step), record.seconds, loss});
  }
  void take(double value) {
    last_ = value;
    if (std::isnan(best_) || (larger_ ? value > best_ : value < best_)) best_ = value;
  }

  std::string metric_;
  bool larger_;
  std::vector<Point> train_, valid_;
  double best_ = kNaN, last_ = kNaN, train_loss_ = kNaN, seconds_ = 0;
  std::int64_t steps_ = 0;
};

// A label as the name of a folder.
std::string folder_of(const std::string& label) {
  std::string out;
  for (const char c : label) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ||
                       c == '.' || c == '=' || c == '+';
    if (plain) {
      out += c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  return out.empty() || out == "." || out == ".." ? "run" : out;
}

Trial train_one(const train::Config& given, const std::string& directory, int threads,
                data::SharedData& data, Comparison& comparison) {
  Trial trial{.seed = given.seed, .directory = directory};
  const auto curve = std::make_shared<Curve>(given.train.text("monitor"),
                                             train::larger_is_better(given.train.text("monitor")));
  track::Sinks sinks;
  sinks.add(curve);
  sinks.add(std::make_shared<track::ReportSink>());
  train::Job job = train::prepare(given, sinks, true, std::ref(data));
  claim_run_directory(directory);
  sinks.add(config_writer(directory, job.config));
  sinks.add(std::make_shared<track::JsonlSink>(in(directory, "metrics.jsonl")));
  try {
    const auto outcome = train::run(job, {.directory = directory, .threads = threads}, sinks);
    trial.reason = outcome.reason, trial.exit_code = outcome.exit_code;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::diverged) throw;
    trial.reason = "diverged: " + error.where();
    trial.exit_code = static_cast<int>(error.kind());
  }
  curve->finish(trial);
  // One that ended inside an epoch has done more than it told.
  const auto summary =
      nlohmann::json::parse(read_file(in(directory, "summary.json")), nullptr, false);
  trial.steps = summary.value("steps", trial.steps);
  trial.seconds = summary.value("seconds", trial.seconds);
  if (curve->validated()) comparison.curve = "validation loss";
  return trial;
}

// Everything that can be wrong with a configuration is told before the first training.
std::vector<std::vector<train::Config>> configurations(Grid& grid, int seeds) {
  std::vector<std::vector<train::Config>> all;
  for (auto& variant : grid.variants) {
    const auto first = train::resolve(variant.config);
    auto& here = all.emplace_back();
    for (int k = 0; k < seeds; ++k) {
      here.push_back(first);
      here.back().seed = first.seed + k;
    }
  }
  return all;
}

void tell(const Contender& contender) {
  const auto& t = contender.trials.back();
  const auto best = std::isfinite(t.best) ? fmt::format("{:.4g}", t.best) : "-";
  fmt::print(stderr, "{:<20}  seed {:<4} best {:<10} {:.3g} s  {}\n", contender.label, t.seed, best,
             t.seconds, t.reason);
}

void check_unused(const std::string& directory) {
  check_no_run(directory);
  if (!std::filesystem::exists(in(directory, "compare.json"))) return;
  throw Error(ErrorKind::usage, "there is a comparison already: it has compare.json", directory,
              "replace it by --overwrite, or choose another --out");
}

int run(const Arguments& a) {
  auto job = a.job;
  job.set.clear();
  auto grid = make_grid(gather_config(job), a.job.set);
  if (a.seeds < 1) throw Error(ErrorKind::usage, "--seeds must be at least 1", "compare");
  if (!a.plot.empty()) plot::require_format(a.plot, {"svg", "png"}, "--plot");
  const auto configs = configurations(grid, a.seeds);
  const auto& first = configs.front().front();
  Comparison comparison{.metric = first.train.text("monitor"), .curve = "training loss"};
  comparison.larger_is_better = train::larger_is_better(comparison.metric);
  if (!a.job.out.empty() && !a.job.overwrite) check_unused(a.job.out);
  const auto out =
      a.job.out.empty()
          ? new_run_directory("compare-" + name_for(a.job.config.empty() ? first.data.text("path")
                                                                         : a.job.config))
          : a.job.out;
  for (const auto& note : grid.notes) fmt::print(stderr, "note     {}\n", note);
  const Interrupts interrupts;
  data::SharedData data;
  int code = 0;
  for (std::size_t i = 0; i < grid.variants.size() && code == 0; ++i) {
    auto& contender = comparison.contenders.emplace_back();
    contender.label = grid.variants[i].label, contender.settings = grid.variants[i].settings;
    for (const auto& config : configs[i]) {
      auto name = folder_of(contender.label);
      if (a.seeds > 1) name += fmt::format("-seed{}", config.seed);
      contender.trials.push_back(train_one(config, in(out, name), a.job.threads, data, comparison));
      tell(contender);
      const int ended = contender.trials.back().exit_code;
      if (ended > 128) code = ended;  // a signal: what there is is shown
      if (code != 0) break;
    }
  }
  rank(comparison);
  auto json = json_of(comparison);
  const auto plot = a.plot.empty() ? in(out, "compare.svg") : a.plot;
  figure_of(comparison).save(plot);
  json["plot"] = plot;
  json["notes"] = grid.notes;
  write_file_atomic(in(out, "compare.json"), json.dump(1) + "\n");
  if (a.job.json) {
    fmt::print("{}\n", json.dump(2));
  } else {
    std::fputs(table_of(comparison).c_str(), stdout);
    fmt::print("\nplot  {}\nruns  {}\n", plot, out);
  }
  return code;
}

void describe(CLI::App& command, Arguments& a) {
  add_configuration(command, a.job);
  command.get_option("--set")->description(
      "A key with one value or, between commas, several: optimizer.name=sgd,adam; may be repeated");
  command.add_option("--seeds", a.seeds, "Trainings of each, with seeds one after another [1]")
      ->type_name("N");
  command.add_option("--out", a.job.out, "Folder of the run directories [runs/compare-<name>-<n>]")
      ->type_name("DIR");
  command.add_flag("--overwrite", a.job.overwrite, "Replace the runs that --out holds");
  command.add_option("--plot", a.plot, "Draw the curves: .svg or .png [DIR/compare.svg]")
      ->type_name("FILE");
  add_threads(command, a.job.threads, "Threads [all processors]; no effect on results");
  command.add_flag("--json", a.job.json, "Print one JSON object");
}

}  // namespace

void register_compare(Commands& commands) {
  commands.add<Arguments>("compare", "Train several variants and rank them", describe, run);
}

}  // namespace descent::cli
