// descent fit: nonlinear least squares for a formula and a table.
#include <fmt/format.h>

#include <cstdio>

#include "descent/base/error.h"
#include "descent/cli/fit_report.h"
#include "descent/cli/registry.h"
#include "descent/cli/text.h"
#include "descent/plot/figure.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string data, formula, weights, method = "lm", plot;
  std::vector<std::string> start, lower, upper, set;
  double tolerance = -1;
  std::int64_t max_iterations = 0;
  bool json = false;
};

std::string full_name(const std::string& method) {
  if (method == "lm") return "levenberg_marquardt";
  return method == "gn" ? "gauss_newton" : method;
}

// The method with its own options; --tol is one of them where it works on residuals.
std::shared_ptr<const optim::Minimizer> method_of(const Arguments& a,
                                                  optim::MinimizeOptions& options) {
  const auto name = full_name(a.method);
  const auto& described = optim::minimizer_options(name);
  const auto find = [&](const std::string& key) {
    return std::ranges::find(described, key, &Option::key);
  };
  Options given;
  if (find("step_tolerance") != described.end()) {
    options.tolerance = 0;  // the gradient's size says little where parameters differ in scale
    if (a.tolerance >= 0) given.set("step_tolerance", a.tolerance);
  } else if (a.tolerance >= 0) {
    options.tolerance = a.tolerance;
  }
  std::vector<std::string> keys;
  for (const auto& option : described) keys.push_back(option.key);
  for (const auto& text : a.set) {
    const auto equals = text.find('=');
    const auto key = text.substr(0, equals);
    const auto where = "--set " + text;
    if (equals == std::string::npos)
      throw Error(ErrorKind::usage, "expected KEY=VALUE", where, "for example --set factor=10");
    if (find(key) == described.end()) {
      throw Error(ErrorKind::usage, fmt::format("{} has no option \"{}\"", name, key), where,
                  did_you_mean(key, keys));
    }
    given.set(key, parse_value(*find(key), text.substr(equals + 1), where));
  }
  return optim::minimizer(name, given);
}

void describe_data(const FitProblem& problem) {
  const auto& d = problem.data();
  for (const auto& warning : d.warnings) fmt::print(stderr, "warning  {}\n", warning);
  std::string left_out;
  if (d.missing > 0)
    left_out += fmt::format(", {} with missing values left out", grouped(d.missing));
  if (d.weightless > 0) left_out += fmt::format(", {} of weight 0 left out", grouped(d.weightless));
  fmt::print(stderr, "data     {}  {} rows{}\n", d.where, grouped(d.rows()), left_out);
}

int run(const Arguments& a) {
  if (!a.plot.empty()) plot::require_format(a.plot, {"svg", "png"}, "--plot");
  optim::MinimizeOptions options{.max_iterations = a.max_iterations};
  const auto method = method_of(a, options);
  const FitProblem problem(a.data, parse_formula(a.formula), parse_assignments(a.start, "--start"),
                           a.weights);
  describe_data(problem);
  const auto objective = problem.objective(parse_assignments(a.lower, "--lower"),
                                           parse_assignments(a.upper, "--upper"));
  problem.require_finite_start();
  auto found = optim::minimize(objective, problem.start(), method, options);
  const auto fit = judge(problem, objective, std::move(found), full_name(a.method));
  if (a.json) {
    fmt::print("{}\n", fit_json(problem, fit));
  } else {
    std::fputs(fit_text(problem, fit).c_str(), stdout);
  }
  for (const auto& warning : fit_warnings(problem, fit))
    fmt::print(stderr, "warning  {}\n", warning);
  if (!a.plot.empty()) {
    plot_fit(problem, fit, a.formula, a.plot);
    fmt::print(stderr, "saved    {}\n", a.plot);
  }
  if (fit.found.converged) return 0;
  fmt::print(stderr, "warning  not converged ({}): try another --start, or more --max-iterations\n",
             fit.found.reason);
  return static_cast<int>(ErrorKind::diverged);
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("FILE", a.data, "Table with a column for each name of the formula")
      ->required();
  command
      .add_option("FORMULA", a.formula, "What was measured ~ its model: \"y ~ a*exp(-b*x) + c\"")
      ->required();
  add_repeated(command, "--start", a.start, "Parameters with their first values: a=1,b=0.5")
      ->type_name("NAME=X,...");
  add_repeated(command, "--lower", a.lower, "Lower bounds of parameters")->type_name("NAME=X,...");
  add_repeated(command, "--upper", a.upper, "Upper bounds of parameters")->type_name("NAME=X,...");
  command
      .add_option("--weights", a.weights,
                  "Column of weights: 1 / variance of each row, up to a factor")
      ->type_name("COLUMN");
  command
      .add_option("--method", a.method,
                  "lm (Levenberg-Marquardt), gauss_newton, lbfgs, or another of descent minimize")
      ->type_name("NAME");
  command
      .add_option("--tol", a.tolerance,
                  "Converged where the step is at most this part of the parameters; methods that "
                  "know no residuals: where the gradient's norm is at most this [as far as "
                  "rounding lets it come; 1e-8]")
      ->type_name("X");
  command.add_option("--max-iterations", a.max_iterations, "At most so many [the method's own]")
      ->type_name("N");
  add_repeated(command, "--set", a.set, "An option of the method: factor=10")
      ->type_name("KEY=VALUE");
  command.add_option("--plot", a.plot, "Draw data, curve and residuals: out.svg or out.png")
      ->type_name("FILE");
  command.add_flag("--json", a.json, "Print one JSON object");
}

}  // namespace

void register_fit(Commands& commands) {
  commands.add<Arguments>("fit", "Fit a formula's parameters to data by least squares", describe,
                          run);
}

}  // namespace descent::cli
