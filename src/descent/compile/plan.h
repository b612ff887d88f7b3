// Plan: a step that was traced once, planned, bound to one arena, and is replayed without
// allocating.
#pragma once
#include <iosfwd>
#include <map>
#include <memory>
#include <string>

#include "descent/base/threads.h"
#include "descent/ir/fn.h"
#include "descent/ir/value.h"

namespace descent {

class Profiler;

struct PlanInput {
  Type type;  // per shard: the type of one shard's part
  std::string name = "input";
  // Memory to read from, for values that live longer than the plan (parameters); without it the
  // plan owns the memory. Whole batch: the rows of all shards, one after another.
  Array storage;
};

struct CompileOptions {
  int shards = 1;
  std::shared_ptr<ThreadPool> pool;  // none: everything on the calling thread
  // Output i is written into the memory of input donate[i]: state is updated in place.
  std::map<int, int> donate;
  std::vector<std::string> without;  // passes switched off by name (compile/passes.h)
  bool verify = false;               // check the graph after each pass
  std::ostream* dump = nullptr;      // each pass's result as text
  bool profile = false;              // time every kernel
};

struct PlanStatistics {
  int nodes = 0, kernels = 0, fused = 0, phases = 0;
  std::size_t arena_bytes = 0, unplanned_bytes = 0;  // with, and without sharing by lifetimes
  double flops = 0;
  std::vector<std::pair<std::string, double>> pass_seconds;
};

class Plan {
 public:
  // Memory of an input (whole batch), to be filled before run(); of an output, valid until the next
  // run().
  const Array& input(int i) const;
  const Array& output(int i) const;
  int inputs() const;
  int outputs() const;
  // Replays the step. Allocates nothing. Throws what a kernel throws (an index out of range).
  void run();
  const PlanStatistics& statistics() const;
  void dump(std::ostream& out) const;
  // With CompileOptions::profile; else null.
  const Profiler* profiler() const;

  struct Impl;
  explicit Plan(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  Plan() = default;
  explicit operator bool() const { return impl_ != nullptr; }

 private:
  std::shared_ptr<Impl> impl_;
};

// Traces f once on placeholders of the inputs' types and compiles what it returns.
Plan compile(const Fn& f, const std::vector<PlanInput>& inputs, const CompileOptions& options = {});

// Computes f on arrays in one go (compiles, runs, copies the results): tests, small jobs.
std::vector<Array> evaluate(const Fn& f, const std::vector<Array>& inputs,
                            const CompileOptions& options = {});

}  // namespace descent
