#include "descent/cli/fit_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "descent/cli/text.h"
#include "descent/plot/figure.h"

namespace descent::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double r2_of(const FitProblem& problem, const std::vector<double>& left, double residual) {
  const auto& w = problem.data().weights;
  const auto weight = [&](std::size_t i) { return w.empty() ? 1 : w[i]; };
  double weights = 0, mean = 0, total = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    weights += weight(i);
    mean += weight(i) * left[i];
  }
  mean /= weights;
  for (std::size_t i = 0; i < left.size(); ++i) total += weight(i) * std::pow(left[i] - mean, 2);
  return total > 0 ? 1 - residual / total : kNaN;
}

nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string cell(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}g}", value, digits) : "-";
}

// The names of some parameters: "a", "a and b", "a, b and c".
std::string listed(const FitProblem& problem, const std::vector<std::int64_t>& which) {
  std::string text;
  for (std::size_t k = 0; k < which.size(); ++k) {
    if (k > 0) text += k + 1 == which.size() ? " and " : ", ";
    text += problem.parameters()[static_cast<std::size_t>(which[k])];
  }
  return text;
}

}  // namespace

Fitted judge(const FitProblem& problem, const optim::Objective& objective, optim::Minimum found,
             std::string method) {
  Fitted fit;
  fit.statistics = optim::fit_statistics(objective, found.x);
  fit.left = problem.left(found.x);
  fit.right = problem.right(found.x);
  fit.found = std::move(found);
  if (fit.found.reason == "gradient norm 0 <= 0") fit.found.reason = "the gradient is 0";
  fit.method = std::move(method);
  fit.r2 = r2_of(problem, fit.left, fit.statistics.residual_sum_of_squares);
  const auto degrees = static_cast<double>(fit.statistics.degrees_of_freedom);
  fit.t95 = degrees >= 1 ? optim::student_t(0.95, degrees) : kNaN;
  return fit;
}

std::string fit_text(const FitProblem& problem, const Fitted& fit) {
  const auto& s = fit.statistics;
  std::vector<std::vector<std::string>> rows = {
      {"parameter", "estimate", "standard error", "t", "95 % interval", ""}};
  for (std::size_t i = 0; i < problem.parameters().size(); ++i) {
    const double at = fit.found.x[i], error = s.standard_errors[i];
    rows.push_back({problem.parameters()[i], cell(at, 10), cell(error, 5), cell(at / error, 4),
                    cell(at - fit.t95 * error, 6), cell(at + fit.t95 * error, 6)});
  }
  auto text = table(rows, {false, true, true, true, true, true}) + "\n";
  text += table({{"residual sum of squares", cell(s.residual_sum_of_squares, 10)},
                 {"residual standard deviation", cell(s.residual_standard_deviation, 8)},
                 {"degrees of freedom", std::to_string(s.degrees_of_freedom)},
                 {"R2", cell(fit.r2, 8)},
                 {"iterations", std::to_string(fit.found.iterations)},
                 {fit.found.converged ? "converged" : "not converged", fit.found.reason}},
                {false, false});
  return text;
}

std::string fit_json(const FitProblem& problem, const Fitted& fit) {
  const auto& s = fit.statistics;
  nlohmann::ordered_json parameters, errors, intervals, covariance;
  for (std::size_t i = 0; i < problem.parameters().size(); ++i) {
    const auto& name = problem.parameters()[i];
    const double at = fit.found.x[i], half = fit.t95 * s.standard_errors[i];
    parameters[name] = number(at);
    errors[name] = number(s.standard_errors[i]);
    intervals[name] = {number(at - half), number(at + half)};
    auto row = nlohmann::ordered_json::array();
    for (const double c : s.covariance[i]) row.push_back(number(c));
    covariance.push_back(std::move(row));
  }
  nlohmann::ordered_json out = {
      {"parameters", parameters},
      {"standard_errors", errors},
      {"residual_sum_of_squares", number(s.residual_sum_of_squares)},
      {"r2", number(fit.r2)},
      {"residual_standard_deviation", number(s.residual_standard_deviation)},
      {"degrees_of_freedom", s.degrees_of_freedom},
      {"intervals", intervals},
      {"covariance", covariance},
      {"rows", problem.data().rows()},
      {"rows_left_out", problem.data().missing + problem.data().weightless},
      {"method", fit.method},
      {"iterations", fit.found.iterations},
      {"evaluations", fit.found.evaluations},
      {"converged", fit.found.converged},
      {"reason", fit.found.reason}};
  return out.dump();
}

std::vector<std::string> fit_warnings(const FitProblem& problem, const Fitted& fit) {
  std::vector<std::string> all;
  for (const auto& group : fit.statistics.undetermined) {
    const auto names = listed(problem, group);
    all.push_back(group.size() == 1
                      ? names +
                            " has no effect on the residuals here: no standard error; fix it "
                            "or begin elsewhere"
                      : names +
                            " cannot be told apart, other values of them fit as well: no "
                            "standard errors; fix one of them");
  }
  if (!fit.statistics.at_bound.empty()) {
    const auto& held = fit.statistics.at_bound;
    all.push_back(listed(problem, held) + (held.size() == 1 ? " lies" : " lie") +
                  " on a bound: no standard error");
  }
  if (fit.statistics.degrees_of_freedom < 1) {
    all.push_back(
        fmt::format("{} rows for {} parameters leave no degree of freedom: no standard "
                    "errors",
                    problem.data().rows(), problem.parameters().size()));
  }
  return all;
}

namespace {

// The model along one predictor, in fine steps over the range of the data.
plot::Line curve(const FitProblem& problem, const Fitted& fit, std::size_t predictor) {
  constexpr std::size_t kPoints = 400;
  const auto& x = problem.data().columns[predictor];
  const auto [low, high] = std::ranges::minmax(x);
  // Only the predictor occurs in the model; what the other columns hold does not matter.
  std::vector<std::vector<double>> columns(problem.data().columns.size(),
                                           std::vector<double>(kPoints));
  for (std::size_t i = 0; i < kPoints; ++i) {
    columns[predictor][i] =
        low + (high - low) * static_cast<double>(i) / static_cast<double>(kPoints - 1);
  }
  auto y = problem.right(fit.found.x, &columns);
  return {.label = "fitted", .x = columns[predictor], .y = std::move(y), .colour = 1};
}

}  // namespace

void plot_fit(const FitProblem& problem, const Fitted& fit, const std::string& title,
              const std::string& path) {
  const auto& names = problem.data().names;
  const auto& predictors = problem.predictors();
  const bool single = predictors.size() == 1;
  std::vector<double> x = fit.right;
  std::string label = "fitted";
  if (single) {
    x = problem.data().columns[predictors.front()];
    label = names[predictors.front()];
  } else if (predictors.empty()) {
    std::iota(x.begin(), x.end(), 1.0);
    label = "row";
  }
  std::vector<double> residuals(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) residuals[i] = fit.left[i] - fit.right[i];
  plot::Panel data{.x = {.label = label}, .y = {.label = problem.formula().left.text()}};
  data.points.push_back({.label = "data", .x = x, .y = fit.left, .colour = 0});
  if (single) {
    data.lines.push_back(curve(problem, fit, predictors.front()));
  } else if (predictors.empty()) {
    data.lines.push_back({.label = "fitted", .x = x, .y = fit.right, .colour = 1});
  } else {
    const auto [low, high] = std::ranges::minmax(fit.right);
    data.lines.push_back({.label = "equal", .x = {low, high}, .y = {low, high}, .colour = 1});
  }
  plot::Panel rest{.x = {.label = label}, .y = {.label = "residual"}};
  rest.points.push_back({.label = "", .x = x, .y = residuals, .colour = 0});
  rest.marks.push_back({.x = {}, .y = 0.0, .label = ""});
  plot::Figure figure{.title = title, .columns = 1, .width = 720, .height = 760};
  figure.panels = {std::move(data), std::move(rest)};
  figure.save(path);
}

}  // namespace descent::cli
