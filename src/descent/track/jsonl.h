// metrics.jsonl: one JSON object a line for every measurement of a run:
//   {"step":1200,"epoch":3,"split":"valid","loss":0.421,"accuracy":0.831,"seconds":4.2}
// NaN and infinities are null. Each line is handed to the system when it is told.
#pragma once
#include <cstdio>
#include <memory>
#include <string>

#include "descent/track/sink.h"

namespace descent::track {

// A file of such lines, each with its "step", that follows a run which may go back.
class JsonLines {
 public:
  explicit JsonLines(std::string path);
  // Opens the file. A new run (first_step 0) begins it anew; a resumed one first drops what was
  // written of later steps, and a last line that is cut off.
  void begin(std::int64_t first_step);
  // Drops the lines of steps after `step`.
  void rewind(std::int64_t step);
  // Appends a line and hands it to the system; before begin() nothing.
  void write(const std::string& line);

 private:
  void reopen(const std::string& content);
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

class JsonlSink final : public Sink {
 public:
  explicit JsonlSink(std::string path) : lines_(std::move(path)) {}
  void begin(const RunInfo& info) override { lines_.begin(info.first_step); }
  void record(const Record& record) override;
  void rewind(std::int64_t step) override { lines_.rewind(step); }

 private:
  JsonLines lines_;
};

// The line of a measurement, without its end.
std::string to_line(const Record& record);

}  // namespace descent::track
