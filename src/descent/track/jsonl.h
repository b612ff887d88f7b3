// metrics.jsonl: one JSON object a line for every measurement of a run:
//   {"step":1200,"epoch":3,"split":"valid","loss":0.421,"accuracy":0.831,"seconds":4.2}
// NaN and infinities are null. Each line is handed to the system when it is told.
#pragma once
#include <cstdio>
#include <memory>
#include <string>

#include "descent/track/sink.h"

namespace descent::track {

class JsonlSink final : public Sink {
 public:
  explicit JsonlSink(std::string path);
  // Opens the file. A new run begins it anew; a resumed one first drops what was measured after
  // info.first_step, and a last line that is cut off.
  void begin(const RunInfo& info) override;
  void record(const Record& record) override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// The line of a measurement, without its end.
std::string to_line(const Record& record);

}  // namespace descent::track
