// descent minimize: the least value of a formula or of a test function, by any of the methods.
#include "descent/optim/minimize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/cli/assignments.h"
#include "descent/cli/cli.h"
#include "descent/cli/minimize_figure.h"
#include "descent/cli/minimize_problem.h"
#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/optim/evaluator.h"
#include "descent/optim/test_functions.h"

namespace descent::cli {
namespace {

using nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

struct Arguments {
  ProblemText problem;
  std::string method, compare, lr, constraint, convention, plot, animate;
  std::vector<std::string> set;
  std::int64_t steps = 0, max_iterations = 0;
  double tolerance = 1e-8;
  bool list = false, json = false, quiet = false;
};

std::vector<std::string> methods_of(const Arguments& a) {
  if (a.compare.empty()) {
    if (!a.method.empty()) return {a.method};
    if (!a.constraint.empty()) return {"projected_gradient"};
    const bool bounds = !a.problem.lower.empty() || !a.problem.upper.empty();
    return {bounds ? "lbfgsb" : "lbfgs"};
  }
  if (!a.method.empty())
    throw Error(ErrorKind::usage, "--method and --compare exclude each other", "",
                "name all methods in --compare");
  std::vector<std::string> methods;
  for (const auto& name : split_commas(a.compare)) {
    if (name.empty()) throw Error(ErrorKind::usage, "an empty name", "--compare");
    if (std::ranges::find(methods, name) == methods.end()) methods.push_back(name);
  }
  return methods;
}

const Option* find_option(const std::string& method, const std::string& key) {
  const auto& options = optim::minimizer_options(method);
  const auto it = std::ranges::find(options, key, &Option::key);
  return it == options.end() ? nullptr : &*it;
}

// Options as they were asked for, of each of the methods.
class MethodOptions {
 public:
  explicit MethodOptions(std::vector<std::string> methods) : methods_(std::move(methods)) {
    for (const auto& method : methods_) {
      optim::minimizer_options(method);  // an unknown name is told first
      given_[method] = {};
    }
  }

  // Of each method that has it (of `only`, where it is not empty); somebody must have it, unless
  // it is optional.
  void set(const std::string& key, const std::string& value, const std::string& where,
           const std::string& only = {}, bool optional = false) {
    bool taken = false;
    std::vector<std::string> keys;
    for (const auto& method : methods_) {
      if (!only.empty() && method != only) continue;
      for (const auto& option : optim::minimizer_options(method)) keys.push_back(option.key);
      const auto* option = find_option(method, key);
      if (option == nullptr) continue;
      given_[method].set(key, parse_value(*option, value, where));
      taken = true;
    }
    if (taken || optional) return;
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    throw Error(ErrorKind::usage,
                fmt::format("{} no option \"{}\"",
                            only.empty() && methods_.size() > 1 ? "none of the methods has"
                                                                : methods_[0] + " has",
                            key),
                where, keys.empty() ? "" : did_you_mean(key, keys));
  }
  // KEY=VALUE, or METHOD.KEY=VALUE.
  void set_text(const std::string& text) {
    const auto where = "--set " + text;
    auto [key, value] = split_assignment(text);
    if (key.empty()) throw Error(ErrorKind::usage, "expected KEY=VALUE", where);
    std::string only;
    if (const auto dot = key.find('.'); dot != std::string::npos) {
      only = key.substr(0, dot);
      key = key.substr(dot + 1);
      if (!given_.contains(only))
        throw Error(ErrorKind::usage, fmt::format("\"{}\" does not take part", only), where,
                    did_you_mean(only, methods_));
    }
    set(key, value, where, only);
  }
  const Options& of(const std::string& method) const { return given_.at(method); }

 private:
  std::vector<std::string> methods_;
  std::map<std::string, Options> given_;
};

MethodOptions method_options(const Arguments& a, const std::vector<std::string>& methods) {
  MethodOptions options(methods);
  if (!a.lr.empty()) options.set("lr", a.lr, "--lr");
  if (!a.convention.empty())
    options.set("convention", a.convention, "--convention", "", methods.size() > 1);
  if (!a.constraint.empty()) {
    const auto colon = a.constraint.find(':');
    const auto where = "--constraint " + a.constraint;
    options.set("constraint", a.constraint.substr(0, colon), where);
    if (colon != std::string::npos) options.set("radius", a.constraint.substr(colon + 1), where);
  }
  for (const auto& text : a.set) options.set_text(text);
  return options;
}

// A line that is written over, on a terminal, for what takes long.
class Progress {
 public:
  Progress(std::string method, bool quiet)
      : method_(std::move(method)), shown_(!quiet && isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (written_) std::fputs("\r\033[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void tell(const optim::Iterate& at) {
    constexpr auto kFirst = std::chrono::seconds(1);
    constexpr auto kEvery = std::chrono::milliseconds(200);
    if (!shown_) return;
    const auto now = Clock::now();
    if (now - begin_ < kFirst || now - last_ < kEvery) return;
    last_ = now;
    written_ = true;
    fmt::print(stderr, "\r\033[K{}  iteration {}  value {:.6g}  gradient {:.2g}", method_,
               grouped(at.iteration), at.value, at.gradient_norm);
    std::fflush(stderr);
  }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  std::string method_;
  bool shown_, written_ = false;
  Clock::time_point begin_ = Clock::now(), last_ = begin_;
};

Trace run_method(const std::string& method, const Options& options, const Problem& problem,
                 const optim::Objective& objective, const Arguments& a) {
  Trace trace = {.method = method, .rows = {}, .points = {}, .found = {}};
  Progress progress(method, a.quiet);
  const auto with = optim::minimizer(method, options);
  optim::MinimizeOptions settings;
  settings.steps = a.steps;
  settings.max_iterations = a.max_iterations;
  settings.tolerance = a.tolerance;
  settings.watch = [&](const optim::Iterate& at) {
    trace.rows.push_back({.iteration = at.iteration,
                          .evaluations = at.evaluations,
                          .value = at.value,
                          .gradient_norm = at.gradient_norm,
                          .step = at.step});
    if (problem.size() <= kMostShown) trace.points.emplace_back(at.x.begin(), at.x.end());
    progress.tell(at);
  };
  trace.found = optim::minimize(objective, problem.start, with, settings);
  trace.seconds = progress.seconds();
  return trace;
}

// ---- what is printed ----

std::string short_number(double v) { return fmt::format("{:.6g}", v); }

void print_iterations(const Problem& problem, const Trace& trace) {
  constexpr std::size_t kMostRows = 24, kLong = 200;
  Rows rows = {{"iteration", "value", "gradient", "step", "evaluations"}};
  const bool points = !trace.points.empty();
  if (points) std::ranges::copy(problem.labels(), std::back_inserter(rows[0]));
  for (const auto k : plot::thinned(trace.rows.size(), kMostRows, trace.rows.size() > kLong)) {
    const auto& row = trace.rows[k];
    rows.push_back({grouped(row.iteration), fmt::format("{:.10g}", row.value),
                    fmt::format("{:.3e}", row.gradient_norm), fmt::format("{:.3e}", row.step),
                    grouped(row.evaluations)});
    if (!points) continue;
    for (const double x : trace.points[k]) rows.back().push_back(short_number(x));
  }
  std::vector<bool> right(rows[0].size(), true);
  std::fputs(table(rows, right).c_str(), stdout);
  std::fputs("\n", stdout);
}

std::string vector_text(std::span<const double> x) {
  constexpr std::size_t kMost = 8;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < std::min(x.size(), kMost); ++i)
    parts.push_back(fmt::format("{:.8g}", x[i]));
  if (x.size() > kMost) parts.push_back(fmt::format("... ({} in all)", x.size()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string eigenvalue_text(const std::vector<double>& values) {
  constexpr std::size_t kMost = 6;
  if (values.size() <= kMost) {
    std::vector<std::string> parts;
    for (const double v : values) parts.push_back(short_number(v));
    return fmt::format("{}", fmt::join(parts, ", "));
  }
  return fmt::format("{} ... {} ({} in all)", short_number(values.front()),
                     short_number(values.back()), values.size());
}

std::string plural(std::int64_t n, const std::string& word) {
  return grouped(n) + " " + word + (n == 1 ? "" : "s");
}

void print_result(const Problem& problem, const Trace& trace) {
  const auto& found = trace.found;
  Rows rows = {
      {"method", fmt::format("{}, {}, {}", trace.method, plural(found.iterations, "iteration"),
                             plural(found.evaluations, "evaluation"))},
      {"stopped", found.reason},
      {"value", fmt::format("{:.17g}", found.value)}};
  for (const auto& v : problem.variables) {
    const auto part = std::span(found.x).subspan(static_cast<std::size_t>(v.offset),
                                                 static_cast<std::size_t>(v.size));
    rows.push_back({v.name, v.size == 1 ? fmt::format("{:.17g}", part[0]) : vector_text(part)});
  }
  rows.push_back({"gradient norm", fmt::format("{:.3e}", found.gradient_norm)});
  if (!found.eigenvalues.empty())
    rows.push_back({"eigenvalues", eigenvalue_text(found.eigenvalues) + "  (of the Hessian)"});
  rows.push_back({"kind", found.kind});
  std::fputs(table(rows, {false, false}).c_str(), stdout);
}

// Values of one minimum, that differ by rounding alone, are one.
bool lower(const optim::Minimum& a, const optim::Minimum& b) {
  return a.value < b.value - 1e-9 * (1 + std::abs(b.value));
}

// The best first: the lowest value, then the fewest evaluations of those that converged, then of
// the others.
std::vector<std::size_t> ranking(const std::vector<Trace>& traces) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < traces.size(); ++i) order.push_back(i);
  // By value with rounding forgiven is no order of its own: groups follow the least value.
  double least = std::numeric_limits<double>::infinity();
  for (const auto& trace : traces) {
    if (!trace.diverged()) least = std::min(least, trace.found.value);
  }
  optim::Minimum best;
  best.value = least;
  const auto rank = [&](std::size_t i) {
    const auto& trace = traces[i];
    if (trace.diverged()) return 3;
    if (lower(best, trace.found)) return 2;
    return trace.found.converged ? 0 : 1;
  };
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    const auto &x = traces[a].found, &y = traces[b].found;
    if (rank(a) == 2 && x.value != y.value) return x.value < y.value;
    return x.evaluations < y.evaluations;
  });
  return order;
}

void print_ranking(const std::vector<Trace>& traces, const std::vector<std::size_t>& order) {
  Rows rows = {
      {"", "method", "value", "gradient", "iterations", "evaluations", "ms", "kind", "stopped"}};
  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto& trace = traces[order[k]];
    const auto& found = trace.found;
    rows.push_back({fmt::format("{}", k + 1), trace.method, fmt::format("{:.8g}", found.value),
                    fmt::format("{:.2e}", found.gradient_norm), grouped(found.iterations),
                    grouped(found.evaluations), fmt::format("{:.2f}", 1e3 * trace.seconds),
                    found.kind, found.reason});
  }
  std::fputs(table(rows, {true, false, true, true, true, true, true, false, false}).c_str(),
             stdout);
}

// JSON has no NaN and no infinity.
ordered_json number_json(double v) { return std::isfinite(v) ? ordered_json(v) : ordered_json(); }

ordered_json vector_json(std::span<const double> x) {
  ordered_json list = ordered_json::array();
  for (const double v : x) list.push_back(number_json(v));
  return list;
}

ordered_json variable_json(const Variable& v, std::span<const double> x) {
  const auto part = x.subspan(static_cast<std::size_t>(v.offset), static_cast<std::size_t>(v.size));
  if (v.shape.rank() == 0) return number_json(part[0]);
  if (v.shape.rank() == 1) return vector_json(part);
  ordered_json rows = ordered_json::array();
  const auto width = static_cast<std::size_t>(v.shape[1]);
  for (std::size_t i = 0; i < part.size(); i += width)
    rows.push_back(vector_json(part.subspan(i, width)));
  return rows;
}

ordered_json trace_json(const Problem& problem, const Trace& trace) {
  const auto& found = trace.found;
  ordered_json variables = ordered_json::object();
  for (const auto& v : problem.variables) variables[v.name] = variable_json(v, found.x);
  return {{"value", number_json(found.value)},
          {"x", vector_json(found.x)},
          {"gradient_norm", number_json(found.gradient_norm)},
          {"iterations", found.iterations},
          {"evaluations", found.evaluations},
          {"kind", found.kind},
          {"variables", variables},
          {"eigenvalues", vector_json(found.eigenvalues)},
          {"converged", found.converged},
          {"reason", found.reason},
          {"method", trace.method}};
}

int list(bool json) {
  Rows functions = {{"function", "variables", "minimum", "formula"}},
       methods = {{"method", "what"}};
  ordered_json out = {{"functions", ordered_json::array()}, {"methods", ordered_json::array()}};
  for (const auto& name : optim::test_function_names()) {
    const auto f = optim::test_function(name);
    constexpr std::size_t kLong = 90;
    const auto text = f.formula.size() > kLong ? f.formula.substr(0, kLong) + "..." : f.formula;
    functions.push_back({name, std::to_string(f.start.size()),
                         std::isfinite(f.minimum) ? fmt::format("{:.6g}", f.minimum) : "none",
                         text});
    out["functions"].push_back({{"name", name},
                                {"variables", f.start.size()},
                                {"formula", f.formula},
                                {"start", vector_json(f.start)},
                                {"minimum", number_json(f.minimum)}});
  }
  for (const auto& name : optim::minimizer_names()) {
    const auto* entry = optim::minimizers().find(name);
    const std::string help =
        entry != nullptr ? entry->help : "the optimizer of descent train, on the full gradient";
    methods.push_back({name, help});
    out["methods"].push_back({{"name", name}, {"help", help}});
  }
  if (json) {
    fmt::print("{}\n", out.dump(2));
    return 0;
  }
  fmt::print("{}\n{}", table(functions, {false, true, true, false}),
             table(methods, {false, false}));
  return 0;
}

void draw(const Problem& problem, const optim::Objective& objective,
          const std::vector<Trace>& traces, const Arguments& a) {
  if (!a.plot.empty()) {
    draw_minimization(problem, objective, traces).save(a.plot);
    if (!a.quiet) fmt::print(stderr, "drawn   {}\n", a.plot);
  }
  if (!a.animate.empty()) {
    animate_minimization(problem, objective, traces).save(a.animate);
    if (!a.quiet) fmt::print(stderr, "drawn   {}\n", a.animate);
  }
}

int run(const Arguments& a) {
  if (a.list) return list(a.json);
  if (a.problem.function.empty())
    throw Error(ErrorKind::usage, "EXPR is required", "minimize",
                "a formula, or a name from descent minimize --list");
  // Whatever can be wrong is told before anything is computed.
  if (!a.plot.empty()) plot::require_format(a.plot, {"svg", "png"}, "--plot");
  if (!a.animate.empty()) plot::require_format(a.animate, {"gif", "html"}, "--animate");
  const auto methods = methods_of(a);
  const auto options = method_options(a, methods);
  const auto problem = read_problem(a.problem);
  if (!a.animate.empty() && problem.size() > 2)
    animate_minimization(problem, {}, {});  // says why not
  const auto objective = optim::compiled(problem.objective());
  // The first method is not charged with compiling what all of them use.
  optim::Vector gradient(static_cast<Eigen::Index>(problem.size()));
  objective.evaluator->value_and_gradient(
      Eigen::Map<const optim::Vector>(problem.start.data(), gradient.size()), gradient);
  std::vector<Trace> traces;
  for (const auto& method : methods)
    traces.push_back(run_method(method, options.of(method), problem, objective, a));
  const auto order = ranking(traces);
  const auto& best = traces[order[0]];
  if (a.json) {
    auto out = trace_json(problem, best);
    if (!a.compare.empty()) {
      out["compare"] = ordered_json::array();
      for (const auto i : order) out["compare"].push_back(trace_json(problem, traces[i]));
    }
    fmt::print("{}\n", out.dump(2));
  } else if (!a.compare.empty()) {
    print_ranking(traces, order);
  } else {
    print_iterations(problem, best);
    print_result(problem, best);
  }
  draw(problem, objective, traces, a);
  if (!best.diverged()) return 0;
  return report(Error(ErrorKind::diverged, best.found.reason, best.method,
                      find_option(best.method, "lr") != nullptr
                          ? "a smaller step may hold: --lr"
                          : "another start, another --method or --lower and --upper may hold"));
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("EXPR", a.problem.function,
                     "Formula (\"100*(y-x^2)^2 + (1-x)^2\"; one that begins with - after --), or "
                     "the name of a test function");
  add_repeated(command, "--start", a.problem.start,
               "Where to begin, in the order of the result: x=-1.2,y=1 or x=[0,0,0] or x=zeros(3)");
  command.add_option("--method", a.method,
                     "lbfgs (default; with bounds lbfgsb), newton, adam, ...");
  command.add_option("--compare", a.compare, "Several methods, ranked: gd,adam,lbfgs");
  add_repeated(command, "--data", a.problem.data,
               "Numbers of the formula: A.csv,b.csv are its A and b (also .npy; NAME=FILE)");
  command.add_option("--size", a.problem.size, "Variables of a test function");
  command.add_option("--lr", a.lr, "Learning rate of the methods that have one");
  command.add_option("--steps", a.steps, "Stop after exactly so many iterations")
      ->check(CLI::PositiveNumber);
  command.add_option("--max-iterations", a.max_iterations, "Stop after so many at the latest")
      ->check(CLI::PositiveNumber);
  command.add_option("--tol", a.tolerance, "Converged at this gradient norm (1e-8)")
      ->check(CLI::NonNegativeNumber);
  add_repeated(command, "--set", a.set, "KEY=VALUE or METHOD.KEY=VALUE: an option of a method");
  add_repeated(command, "--lower", a.problem.lower, "Lower bounds: x=0,y=0, or one number for all");
  add_repeated(command, "--upper", a.problem.upper, "Upper bounds");
  command.add_option("--constraint", a.constraint,
                     "simplex, ball or l1_ball, with its radius: ball:2");
  command.add_option("--convention", a.convention,
                     "Whose formula where they differ: torch, keras or paper");
  command.add_option("--plot", a.plot, "Draw the paths to a file: .svg or .png");
  command.add_option("--animate", a.animate, "Let the paths grow in a file: .gif or .html");
  command.add_flag("--list", a.list, "Show the test functions and the methods");
  command.add_flag("--json", a.json, "Print one JSON object");
  command.add_flag("--quiet", a.quiet, "No progress");
}

}  // namespace

void register_minimize(Commands& commands) {
  commands.add<Arguments>("minimize", "Find the least value of a function", describe, run);
}

}  // namespace descent::cli
