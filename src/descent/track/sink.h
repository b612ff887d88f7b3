// What a run tells, and who listens: terminal, metrics.jsonl, report.html, later TensorBoard
// and MLflow.
// A sink knows nothing of models.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace descent::track {

struct RunInfo {
  std::string directory;    // of the run; empty: none
  std::int64_t epochs = 0;  // 0: counted in steps
  std::int64_t steps_per_epoch = 0;
  std::int64_t total_steps = 0;
  std::int64_t first_step = 0;  // > 0: resumed
  std::string title;            // "mlp on titanic.csv"
};

// One measurement: a line of metrics.jsonl.
struct Record {
  std::int64_t step = 0;                               // updates done
  std::int64_t epoch = 0;                              // from 1
  std::string split;                                   // "train", "valid", "test"
  std::vector<std::pair<std::string, double>> values;  // "loss", "accuracy", ..., "lr", "grad_norm"
  double seconds = 0;  // since the run began (resumed runs count on)
};

// Now and then inside an epoch, for a progress bar: at most some times a second.
struct Progress {
  std::int64_t epoch = 0, batch = 0, batches = 0, step = 0;
  double loss = 0, lr = 0, rows_per_second = 0;
};

enum class Level { note, warning };

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void begin(const RunInfo& info) { (void)info; }
  virtual void progress(const Progress& progress) { (void)progress; }
  virtual void record(const Record& record) { (void)record; }
  // A line for the user: label "data", "model", "stopped", "saved", "warning", ...
  virtual void message(Level level, const std::string& label, const std::string& text) {
    (void)level, (void)label, (void)text;
  }
  // An epoch is over: all its records have been told.
  virtual void epoch_end(std::int64_t epoch) { (void)epoch; }
  // A checkpoint of this step stands on the disk.
  virtual void checkpoint(std::int64_t step) { (void)step; }
  // Something larger to look at, told before the end. "histograms": one object for each parameter,
  // {"name", "shape", "low", "high", "counts", "mean", "deviation", "rows"}.
  virtual void show(const std::string& what, const nlohmann::json& value) {
    (void)what, (void)value;
  }
  // The run is over, by whatever reason; summary as in summary.json.
  virtual void end(const nlohmann::json& summary) { (void)summary; }
  // The run goes back to `step`: what was told of later steps does not count.
  virtual void rewind(std::int64_t step) { (void)step; }
};

// Tells several sinks, in order.
class Sinks final : public Sink {
 public:
  void add(std::shared_ptr<Sink> sink) { all_.push_back(std::move(sink)); }
  void begin(const RunInfo& info) override {
    for (auto& s : all_) s->begin(info);
  }
  void progress(const Progress& p) override {
    for (auto& s : all_) s->progress(p);
  }
  void record(const Record& r) override {
    for (auto& s : all_) s->record(r);
  }
  void message(Level level, const std::string& label, const std::string& text) override {
    for (auto& s : all_) s->message(level, label, text);
  }
  void epoch_end(std::int64_t epoch) override {
    for (auto& s : all_) s->epoch_end(epoch);
  }
  void checkpoint(std::int64_t step) override {
    for (auto& s : all_) s->checkpoint(step);
  }
  void show(const std::string& what, const nlohmann::json& value) override {
    for (auto& s : all_) s->show(what, value);
  }
  void end(const nlohmann::json& summary) override {
    for (auto& s : all_) s->end(summary);
  }
  void rewind(std::int64_t step) override {
    for (auto& s : all_) s->rewind(step);
  }

 private:
  std::vector<std::shared_ptr<Sink>> all_;
};

}  // namespace descent::track
