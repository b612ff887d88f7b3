// report.html: a run to look at, in one file that needs nothing else: no network, no other file.
// Curves, findings of the watchdog, weights, confusion matrix, configuration and environment. It is
// written when the run ends, and on the way at each checkpoint and now and then.
//
// The page is a frame, uPlot (third_party/uplot), report/report.css and report/report.js, and the
// run as JSON, from which the script builds what is shown.
#pragma once
#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "descent/track/health.h"
#include "descent/track/series.h"
#include "descent/track/sink.h"

namespace descent::track {

class ReportSink final : public Sink {
 public:
  // interval: seconds between two states of the file during a run.
  explicit ReportSink(double interval = 30) : interval_(interval) {}

  // info.directory is where the file is written, and where config.toml, health.jsonl and, of a
  // resumed run, metrics.jsonl are read.
  void begin(const RunInfo& info) override;
  void progress(const Progress& progress) override;
  void record(const Record& record) override;
  void message(Level level, const std::string& label, const std::string& text) override;
  void epoch_end(std::int64_t epoch) override;
  void checkpoint(std::int64_t step) override;
  void show(const std::string& what, const nlohmann::json& value) override;
  void end(const nlohmann::json& summary) override;
  void rewind(std::int64_t step) override;

  // Takes the lines of a metrics.jsonl up to a step; damaged ones are passed over.
  void read_metrics(const std::string& path,
                    std::int64_t last_step = std::numeric_limits<std::int64_t>::max());
  // Takes from an older report.html what stands in no other file: messages and what was shown.
  void read_page(const std::string& path);

  // The page as it is now.
  std::string page();
  void write();

 private:
  struct Curve {
    std::string split, name;
    Series series;
  };
  using Clock = std::chrono::steady_clock;

  Series& curve(const std::string& split, const std::string& name);
  void refresh(double seconds);
  std::string data();

  double interval_;
  RunInfo info_;
  std::vector<Curve> curves_;
  nlohmann::json messages_ = nlohmann::json::array(), shown_ = nlohmann::json::object();
  nlohmann::json summary_;
  Health health_;
  Clock::time_point last_ = Clock::now();
};

// The JSON inside of a page; null where there is none.
nlohmann::json data_in(const std::string& page);

// Text as HTML shows it: & < > " ' become entities.
std::string escape_html(const std::string& text);

}  // namespace descent::track
