// Rules of the watchdog. A rule looks at steps, observations or epochs and checks conditions; it
// has words for a condition that has held long enough. One file each in train/health/.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "descent/train/observation.h"

namespace descent::train {

struct StepSeen {
  std::int64_t step = 0, epoch = 0;  // updates done; epoch from 1
  std::int64_t rows = 0;             // of the batch
  double loss = 0, gradient_norm = 0;
  double lr = 0, base_lr = 0;  // the rate of this step; optimizer.lr
  double first_loss = 0;       // mean of the first ten steps
};

struct EpochSeen {
  std::int64_t step = 0, epoch = 0;
  double train_loss = 0, valid_loss = 0;  // NaN: not validated
  double lr = 0, base_lr = 0, first_loss = 0;
};

// A finding in words: "layer 7 tanh: 96 % saturated since step 310" and "try ...".
struct Words {
  std::string layer;  // its full name; empty: the whole model
  std::string text, remedy;
  nlohmann::json evidence;
};

// What a rule reports to. A condition must hold for `needed` looks in a row before it is told, and
// fail for as many before its end is told.
class Findings {
 public:
  virtual ~Findings() = default;
  // subject: what the condition is about ("7", "0.weight"; empty: the run). `words` is asked when
  // it is told; `since`: the step of the first look at which it held.
  virtual void check(const std::string& subject, bool holds, std::int64_t needed,
                     const std::function<Words(std::int64_t since)>& words) = 0;
};

class Rule {
 public:
  virtual ~Rule() = default;
  virtual void step(const StepSeen& seen, Findings& findings) { (void)seen, (void)findings; }
  virtual void observe(const Observation& seen, Findings& findings) { (void)seen, (void)findings; }
  virtual void epoch(const EpochSeen& seen, Findings& findings) { (void)seen, (void)findings; }
  // What a resumed run must know to find the same; null: nothing.
  virtual nlohmann::json memory() const { return nullptr; }
  virtual void restore(const nlohmann::json& memory) { (void)memory; }
};

}  // namespace descent::train
