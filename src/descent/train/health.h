// The watchdog: looks at every step and more closely at every k-th, and tells what is wrong with
// its evidence and a remedy: on the terminal as warnings, in health.jsonl of the run directory as
//   {"kind":"observation","step":101,"epoch":1,"loss":..,"layers":["0","1"],"grad_norm":[..],..}
//   {"kind":"finding","step":310,"epoch":4,"rule":"saturated","layer":"7","severity":"warning",
//    "since":260,"evidence":{..},"text":"layer 7 tanh: ..","remedy":".."}
// Every list of an observation has one number for each layer, null where it has none. A finding
// that is over is told again with severity "ended".
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "descent/track/jsonl.h"
#include "descent/track/sink.h"
#include "descent/train/config.h"
#include "descent/train/rule.h"

namespace descent::train {

// [health]: the watchdog's own options, then those of its rules.
std::vector<Option> health_options();

class Watch {
 public:
  // directory: of the run; empty: nothing is written.
  Watch(const Config& config, const std::string& directory, track::Sink& sink);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Opens health.jsonl; drops what a resumed run will find again.
  void begin(std::int64_t first_step);
  // Whether the step after `step` updates is one to observe: more often at the beginning.
  bool observes(std::int64_t step) const;
  void step(StepSeen seen);
  // loss, gradient norm and rate are those of the last step().
  void observe(Observation seen);
  void epoch(std::int64_t epoch, double train_loss, double valid_loss);
  // What no rule finds: a step that is not finite, a rollback.
  void tell(const std::string& rule, const std::string& severity, const Words& words,
            std::int64_t step, std::int64_t epoch);
  // The run goes back to `step`, with the memory of then.
  void rewind(std::int64_t step, const std::string& memory);

  // Part of the TrainState, so that a resumed run finds the same.
  std::string memory() const;
  void restore(const std::string& memory);

 private:
  // How often in a row a condition has held, or has failed since it was told.
  struct Tally {
    std::int64_t since = 0, held = 0, failed = 0, told = 0;
    bool active = false;
  };
  struct Found {
    std::string rule, severity;
    std::int64_t since = 0;
    Words words;
    bool again = false;
  };
  class Listener;
  void check(const std::string& rule, const std::string& subject, bool holds, std::int64_t needed,
             const std::function<Words(std::int64_t)>& words);
  void flush();
  void write(const Found& found, std::int64_t step, std::int64_t epoch);
  std::string observation_line(const Observation& seen) const;

  bool enabled_ = false;
  std::int64_t every_ = 0;
  double base_lr_ = 0;
  track::Sink& sink_;
  std::optional<track::JsonLines> file_;
  std::vector<std::pair<std::string, std::unique_ptr<Rule>>> rules_;
  std::map<std::string, Tally> tallies_;  // by "rule/subject"
  std::map<std::string, int> messages_;   // of each rule, on the terminal
  std::vector<Found> found_;
  StepSeen last_;
  double first_losses_ = 0;  // sum of
  std::int64_t first_count_ = 0;
};

// 0.0031 -> "3e-3": a rate to try.
std::string rounded_rate(double rate);
// 0.956 -> "96 %".
std::string percent(double share);

}  // namespace descent::train
