// What a person sees of a run: labelled lines, a row of a table for every epoch, and on a terminal
// a live line with a bar.
//
//   data     titanic.csv  891 rows, 14 columns
//   model    mlp 31-64-64-2, 6,402 parameters
//   epoch          loss  valid loss  accuracy        lr    rows/s   seconds
//   1/50         0.6120      0.5980    0.7420     0.001      412k       1.2
//   test     accuracy 0.820  AUC 0.861
#pragma once
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "descent/track/sink.h"

namespace descent::track {

struct TerminalOptions {
  std::FILE* messages = stderr;  // progress and messages
  std::FILE* results = stdout;   // the lines "test" and "saved"
  bool quiet = false;            // only warnings and results
  // Not set: found by looking at `messages` (a terminal?) and the environment (NO_COLOR, TERM).
  std::optional<bool> live, colour, utf8;
  double interval = 0.1;       // seconds between two states of the live line
  double row_interval = 0.25;  // seconds between two rows on a terminal; the last is always shown
};

class TerminalSink final : public Sink {
 public:
  explicit TerminalSink(TerminalOptions options = {});
  ~TerminalSink() override;  // clears the live line

  void begin(const RunInfo& info) override;
  void progress(const Progress& progress) override;
  void record(const Record& record) override;
  void message(Level level, const std::string& label, const std::string& text) override;
  void epoch_end(std::int64_t epoch) override;
  void end(const nlohmann::json& summary) override;

 private:
  // One column of the table: its title, and its values of this epoch.
  struct Cell {
    std::string title, text;
  };
  using Clock = std::chrono::steady_clock;

  void line(const std::string& label, const std::string& text, bool result, const char* colour);
  void clear();
  void flush_row();
  void print_row(const std::string& epoch, const std::vector<Cell>& cells);
  std::vector<Cell> cells() const;
  std::string epoch_text(std::int64_t epoch) const;
  std::string live_line(const Progress& progress) const;
  double since(Clock::time_point then) const;

  TerminalOptions options_;
  RunInfo info_;
  bool live_ = false, colour_ = false, utf8_ = false;
  bool shown_ = false;               // the live line stands on the terminal
  std::string last_label_;           // repeated labels are left blank
  std::vector<std::string> titles_;  // of the table, once printed
  std::vector<Record> epoch_;        // of this epoch
  std::optional<Record> test_;
  bool test_told_ = false;
  double rows_per_second_ = 0;
  std::string pending_epoch_;  // a row that waits: rows come too fast to be read
  std::vector<Cell> pending_;
  Clock::time_point last_live_{}, last_row_{};
};

// 0.0005 -> "5e-4", 412345 -> "412k": few characters for a live line and a table.
std::string short_number(double x);
std::string short_count(double x);

}  // namespace descent::track
