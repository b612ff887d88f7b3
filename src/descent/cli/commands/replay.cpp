// descent replay: does the failing step of a run that diverged again, operation by operation.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/train/divergence.h"

namespace descent::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string file;
  std::vector<std::string> set;
  int threads = 0;
  bool json = false;
};

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }

void print_json(const train::ReplayReport& r) {
  ordered_json ranges = ordered_json::array();
  for (const auto& v : r.ranges) {
    ranges.push_back({{"name", v.name},
                      {"kind", v.kind},
                      {"low", number(v.low)},
                      {"high", number(v.high)},
                      {"not_finite", v.bad},
                      {"size", v.size}});
  }
  const bool failed = !r.finite;
  const ordered_json out = {{"step", r.step},
                            {"epoch", r.epoch},
                            {"batch", r.batch},
                            {"rows", r.rows},
                            {"finite", r.finite},
                            {"loss", number(r.result.loss)},
                            {"grad_norm", number(r.result.gradient_norm)},
                            {"what", failed ? ordered_json(r.divergence.what) : ordered_json()},
                            {"layer", failed ? ordered_json(r.divergence.layer) : ordered_json()},
                            {"cause", failed ? ordered_json(r.divergence.cause) : ordered_json()},
                            {"training_rows", r.train_rows},
                            {"file_rows", r.file_rows},
                            {"ranges", std::move(ranges)}};
  fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void print_text(const train::ReplayReport& r) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "gives", "smallest", "largest", "NaN or Inf", "of"}};
  for (const auto& v : r.ranges) {
    const bool none = v.low > v.high;  // nothing but NaN
    rows.push_back({v.name, v.kind, none ? "-" : fmt::format("{:.4g}", v.low),
                    none ? "-" : fmt::format("{:.4g}", v.high), grouped(v.bad), grouped(v.size)});
  }
  fmt::print("step {} (epoch {}, batch {}), {} rows\n\n", r.step, r.epoch, r.batch, r.rows);
  std::fputs(table(rows, {false, false, true, true, true, true}).c_str(), stdout);
  if (r.finite) {
    fmt::print("\nall finite: loss {:.6g}, gradient norm {:.6g}\n", r.result.loss,
               r.result.gradient_norm);
    return;
  }
  const auto& d = r.divergence;
  fmt::print("\nloss     {:.6g}, gradient norm {:.6g}\n", r.result.loss, r.result.gradient_norm);
  fmt::print("first    {}{}\n", d.layer.empty() ? "" : d.layer + ": ", d.what);
  if (d.rows.empty()) {
    std::fputs("rows     no single row is the cause\n", stdout);
    return;
  }
  fmt::print("rows     {} of the training data{}: {}\n", train::listed(r.train_rows),
             r.file_rows.empty()
                 ? ""
                 : fmt::format(" ({} of the file, from 0)", train::listed(r.file_rows)),
             d.cause);
}

int run(const Arguments& a) {
  const auto report = train::replay(a.file, a.set, a.threads);
  a.json ? print_json(report) : print_text(report);
  return report.finite ? 0 : static_cast<int>(ErrorKind::diverged);
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("FILE", a.file, "replay-STEP.safetensors of a run that diverged")->required();
  add_repeated(command, "--set", a.set,
               "Any key of the configuration; may be repeated (train.shards=1)")
      ->type_name("KEY=VALUE");
  add_threads(command, a.threads, "Threads [all processors]");
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void register_replay(Commands& commands) {
  commands.add<Arguments>("replay", "Do a failing step again and name what failed", describe, run);
}

}  // namespace descent::cli
