// descent train: trains a model and writes a run directory.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "descent/base/error.h"
#include "descent/cli/config_file.h"
#include "descent/cli/interrupt.h"
#include "descent/cli/registry.h"
#include "descent/cli/run_directory.h"
#include "descent/cli/train_arguments.h"
#include "descent/track/jsonl.h"
#include "descent/track/report.h"
#include "descent/track/terminal.h"
#include "descent/train/checkpoint.h"
#include "descent/train/config_schema.h"
#include "descent/train/trainer.h"

namespace descent::cli {
namespace {

void print_config(const TrainArguments& a) {
  const auto raw = gather_config(a);
  const bool empty = raw.sections.empty() && raw.layers.empty() && raw.groups.empty();
  const auto text = empty ? default_config_text()
                          : config_text(train::resolve_without_data(raw),
                                        "The whole configuration, with all defaults.");
  std::fputs(text.c_str(), stdout);
}

std::string directory_for(const TrainArguments& a, const train::Config& config) {
  if (!a.resume.empty()) return a.resume;
  if (a.out.empty()) {
    return new_run_directory(name_for(a.config.empty() ? config.data.text("path") : a.config));
  }
  claim_run_directory(a.out);
  return a.out;
}

// What can be told before any data is read.
void check_directories(const TrainArguments& a) {
  if (a.out.empty()) return;
  if (a.resume.empty()) {
    if (!a.overwrite) check_no_run(a.out);
    return;
  }
  std::error_code error;
  if (std::filesystem::equivalent(a.out, a.resume, error)) return;
  throw Error(ErrorKind::usage, "--out and --resume name different directories", "",
              "a resumed run goes on in its own directory: leave --out away");
}

int run(const TrainArguments& a) {
  if (a.print_config) {
    print_config(a);
    return 0;
  }
  check_directories(a);
  track::Sinks sinks;
  sinks.add(std::make_shared<track::TerminalSink>(
      track::TerminalOptions{.results = a.json ? stderr : stdout, .quiet = a.quiet}));
  // From the first word on: what is said of the data stands in the report too.
  sinks.add(std::make_shared<track::ReportSink>());
  auto config = train::resolve(gather_config(a));
  const bool fresh = a.resume.empty() || !train::has_checkpoint(a.resume);
  train::Job job = train::prepare(std::move(config), sinks, fresh);
  const auto directory = directory_for(a, job.config);
  sinks.add(config_writer(directory, job.config));
  sinks.add(std::make_shared<track::JsonlSink>(in(directory, "metrics.jsonl")));
  const Interrupts interrupts;
  const auto outcome = train::run(job,
                                  {.directory = directory,
                                   .resume = !a.resume.empty(),
                                   .threads = a.threads,
                                   .profile = a.profile,
                                   .dump_plan = a.dump_plan},
                                  sinks);
  if (outcome.exit_code == 0) {
    sinks.message(track::Level::note, "saved",
                  fmt::format("{0}   look at it: {1}   use it: descent predict {0} FILE", directory,
                              in(directory, "report.html")));
  }
  if (a.dump_plan) fmt::print(a.json ? stderr : stdout, "\n{}", outcome.plan);
  if (a.profile) {
    fmt::print(a.json ? stderr : stdout, "\n{}\ntime line: {} (open it in ui.perfetto.dev)\n",
               outcome.profile, in(directory, "trace.json"));
  }
  if (a.json) fmt::print("{}\n", outcome.summary.dump(2));
  return outcome.exit_code;
}

void describe(CLI::App& command, TrainArguments& a) {
  add_configuration(command, a);
  command.add_option("--out", a.out, "Run directory [runs/<name>-<n>]")->type_name("DIR");
  command.add_flag("--overwrite", a.overwrite, "Replace the run that --out holds");
  command.add_option("--resume", a.resume, "Go on with the run in this directory")
      ->type_name("DIR");
  add_threads(command, a.threads, "Threads [all processors]; no effect on results");
  command.add_flag("--json", a.json, "Print the summary as JSON");
  command.add_flag("--quiet", a.quiet, "Only warnings and the result");
  command.add_flag("--profile", a.profile,
                   "Print where a step's time goes, by layer and kernel; write a time line");
  command.add_flag("--dump-plan", a.dump_plan,
                   "Print the kernels of a step in order, with types and memory");
  command.add_flag("--print-config", a.print_config,
                   "Print every key with its value and meaning, and stop");
}

}  // namespace

void register_train(Commands& commands) {
  commands.add<TrainArguments>("train", "Train a model", describe, run);
}

}  // namespace descent::cli
