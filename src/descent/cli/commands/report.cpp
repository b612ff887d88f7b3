// descent report: writes report.html of a run anew, from the files of its directory.
#include "descent/track/report.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/config_file.h"
#include "descent/cli/registry.h"
#include "descent/cli/run_directory.h"
#include "descent/train/config_schema.h"
#include "descent/train/histogram.h"
#include "descent/train/job.h"
#include "descent/train/saved_model.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string run;
};

bool has(const std::string& directory, const char* file) {
  std::error_code error;
  return std::filesystem::is_regular_file(in(directory, file), error);
}

// Of a run that has not ended well there is no model.
nlohmann::json histograms_of(const std::string& directory) {
  const auto model = train::SavedModel::load(directory);
  nn::Tree parameters;
  std::size_t i = 0;
  for (const auto& v : nn::describe(model.model, train::one_row(model.transform, model.config),
                                    train::dtype_of(model.config))) {
    if (v.parameter()) parameters.push_back(model.variables[i]);
    ++i;
  }
  return train::histograms(parameters);
}

nlohmann::json summary_of(const std::string& directory) {
  const auto path = in(directory, "summary.json");
  auto summary = nlohmann::json::parse(read_file(path), nullptr, false);
  if (summary.is_object()) return summary;
  throw Error(ErrorKind::data, "this is not the summary of a run", path);
}

int run(const Arguments& a) {
  if (!has(a.run, "metrics.jsonl") && !has(a.run, "summary.json")) {
    throw Error(ErrorKind::usage, "there is no run here: metrics.jsonl is missing", a.run,
                "name the directory of a run, e.g. runs/titanic-1");
  }
  track::RunInfo info{.directory = a.run};
  if (has(a.run, "config.toml")) {
    info.title =
        train::title_of(train::resolve_without_data(read_config_file(in(a.run, "config.toml"))));
  }
  track::ReportSink report;
  report.begin(info);
  if (has(a.run, "report.html")) report.read_page(in(a.run, "report.html"));
  if (has(a.run, "metrics.jsonl")) report.read_metrics(in(a.run, "metrics.jsonl"));
  if (has(a.run, "model.json")) report.show("histograms", histograms_of(a.run));
  if (has(a.run, "summary.json")) {
    report.end(summary_of(a.run));
  } else {
    report.write();
  }
  fmt::print("{}\n", in(a.run, "report.html"));
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("RUN_DIR", a.run, "Run directory")->required();
}

}  // namespace

void register_report(Commands& commands) {
  commands.add<Arguments>("report", "Write a run's report.html anew", describe, run);
}

}  // namespace descent::cli
