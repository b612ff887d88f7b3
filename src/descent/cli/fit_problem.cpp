#include "descent/cli/fit_problem.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/cli/assignments.h"
#include "descent/compile/plan.h"
#include "descent/data/options.h"
#include "descent/data/registry.h"
#include "descent/ops/ops.h"

namespace descent::cli {
namespace {

double number_of(const std::string& text, const std::string& where) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error == std::errc() && stop == end && !std::isnan(value)) return value;
  throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a number", text), where);
}

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// The names of both sides, in order of appearance. pi and e count where something has that name.
std::vector<std::string> names_of(const Formula& formula, const std::vector<std::string>& known) {
  std::vector<std::string> names;
  for (const auto* side : {&formula.left, &formula.right}) {
    for (const auto& name : side->names()) {
      if (!among(names, name)) names.push_back(name);
    }
    for (const auto* name : {"pi", "e"}) {
      if (side->uses(name) && among(known, name) && !among(names, name)) names.emplace_back(name);
    }
  }
  return names;
}

data::Table read_table(const std::string& path) {
  Options options;
  options.set("path", path);
  options.set("source", std::string("csv"));
  return data::read_tables(path, data::with_defaults(options)).train;
}

const std::vector<double>& numbers_of(const data::Table& table, const std::string& name) {
  const auto& column = *table.find(name);
  if (column.kind == data::Column::Kind::numeric) return column.numbers;
  throw Error(ErrorKind::data,
              fmt::format("column \"{}\" holds texts (\"{}\"), not numbers", name,
                          column.dictionary.empty() ? "" : column.dictionary.front()),
              table.where);
}

[[noreturn]] void refuse_unknown(const std::string& name, const data::Table& table,
                                 const std::vector<std::string>& parameters) {
  auto known = table.names();
  known.insert(known.end(), parameters.begin(), parameters.end());
  const auto near = closest(name, known);
  const auto columns = fmt::format("the columns are {}", fmt::join(table.names(), ", "));
  throw Error(ErrorKind::usage,
              fmt::format("\"{}\" is neither a column of {} nor a parameter with a start", name,
                          table.where),
              "formula",
              fmt::format("give --start {}=..., {}", name,
                          near.empty() ? "if it is a parameter; " + columns
                                       : "or did you mean \"" + near + "\"?"));
}

// Keeps the rows where everything is known.
FitData complete_rows(const data::Table& table, const std::vector<std::string>& names,
                      const std::string& weights) {
  FitData d{.where = table.where, .names = names, .warnings = table.warnings};
  std::vector<const std::vector<double>*> sources;
  for (const auto& name : names) sources.push_back(&numbers_of(table, name));
  const auto* w = weights.empty() ? nullptr : &numbers_of(table, weights);
  if (w) sources.push_back(w);
  d.columns.resize(names.size());
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    if (!std::ranges::all_of(sources, [i](const auto* s) { return std::isfinite((*s)[i]); })) {
      ++d.missing;
      continue;
    }
    if (w && (*w)[i] < 0) {
      throw Error(ErrorKind::data, fmt::format("the weight {:g} is negative", (*w)[i]),
                  fmt::format("{}:{}", table.where, table.line_of(row)));
    }
    if (w && (*w)[i] == 0) {
      ++d.weightless;
      continue;
    }
    for (std::size_t c = 0; c < names.size(); ++c) d.columns[c].push_back((*sources[c])[i]);
    if (w) d.weights.push_back((*w)[i]);
    d.lines.push_back(table.line_of(row));
  }
  if (d.lines.empty())
    throw Error(ErrorKind::data, "no row has a value in every column of the formula", table.where);
  return d;
}

}  // namespace

Assignments parse_assignments(const std::vector<std::string>& texts, const std::string& option) {
  Assignments all;
  for (const auto& text : texts) {
    for (const auto& part : split_commas(text)) {
      if (part.empty()) continue;
      const auto [name, number] = split_assignment(part);
      if (name.empty()) {
        throw Error(ErrorKind::usage, fmt::format("expected NAME=NUMBER, found \"{}\"", part),
                    option, fmt::format("for example {} a=1,b=0.5", option));
      }
      const auto value = number_of(number, fmt::format("{} {}", option, part));
      if (std::ranges::find(all, name, &Assignments::value_type::first) != all.end())
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is given twice", name), option);
      all.emplace_back(name, value);
    }
  }
  return all;
}

Formula parse_formula(const std::string& text) {
  const auto tilde = text.find('~');
  const bool one = tilde != std::string::npos && text.find('~', tilde + 1) == std::string::npos;
  const auto left = trimmed(text.substr(0, tilde));
  const auto right = one ? trimmed(text.substr(tilde + 1)) : "";
  if (!one || left.empty() || right.empty()) {
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is not of the form MEASURED ~ MODEL", text),
                "formula", "write for example \"y ~ a*exp(-b*x) + c\"");
  }
  return {.left = optim::Expression::parse(left), .right = optim::Expression::parse(right)};
}

FitProblem::FitProblem(const std::string& path, Formula formula, const Assignments& start,
                       const std::string& weights)
    : formula_(std::move(formula)) {
  const auto table = read_table(path);
  const auto columns = table.names();
  std::vector<std::string> given;
  for (const auto& [name, value] : start) given.push_back(name);
  auto known = columns;
  known.insert(known.end(), given.begin(), given.end());
  const auto names = names_of(formula_, known);
  std::vector<std::string> used;
  for (const auto& name : names) {
    if (among(given, name) && among(columns, name)) {
      throw Error(ErrorKind::usage,
                  fmt::format("\"{}\" is a column of {} and a parameter with a start", name, path),
                  "--start", "call the parameter something else in the formula");
    }
    if (among(columns, name)) used.push_back(name);
    if (!among(given, name) && !among(columns, name)) refuse_unknown(name, table, given);
  }
  for (const auto& [name, value] : start) {
    if (!among(names, name)) {
      throw Error(ErrorKind::usage, fmt::format("\"{}\" does not occur in the formula", name),
                  "--start", did_you_mean(name, names));
    }
    parameters_.push_back(name);
    start_.push_back(value);
  }
  if (parameters_.empty()) {
    throw Error(ErrorKind::usage, "there are no parameters to fit", "formula",
                "give each a start: --start a=1,b=0.5");
  }
  if (used.empty()) {
    throw Error(ErrorKind::usage, fmt::format("the formula has no column of {}", path), "formula",
                fmt::format("the columns are {}", fmt::join(columns, ", ")));
  }
  if (!weights.empty() && !among(columns, weights)) {
    throw Error(ErrorKind::usage, fmt::format("{} has no column \"{}\"", path, weights),
                "--weights", did_you_mean(weights, columns));
  }
  data_ = complete_rows(table, used, weights);
  for (std::size_t c = 0; c < used.size(); ++c) {
    if (formula_.right.uses(used[c])) predictors_.push_back(c);
  }
}

Value FitProblem::side(const optim::Expression& expression, const Value& x,
                       const std::vector<std::vector<double>>& columns) const {
  std::map<std::string, Value> bound;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    bound[parameters_[i]] = x[static_cast<std::int64_t>(i)];
  const auto rows = std::ssize(columns.front());
  for (std::size_t c = 0; c < columns.size(); ++c)
    bound[data_.names[c]] = constant(Array::from(columns[c], {rows}));
  const Value value = expression.build(bound);
  if (value.rank() == 0) return broadcast_to(value, {rows});
  if (value.rank() == 1 && value.shape()[0] == rows) return value;
  throw Error(ErrorKind::usage,
              fmt::format("\"{}\" gives {}, not one number for each of {} rows", expression.text(),
                          to_string(value.shape()), rows),
              "formula");
}

std::vector<double> FitProblem::bounds_of(const Assignments& given, const std::string& option,
                                          double none) const {
  if (given.empty()) return {};
  std::vector<double> bounds(parameters_.size(), none);
  for (const auto& [name, value] : given) {
    const auto at = std::ranges::find(parameters_, name);
    if (at == parameters_.end()) {
      throw Error(ErrorKind::usage, fmt::format("there is no parameter \"{}\"", name), option,
                  did_you_mean(name, parameters_));
    }
    bounds[static_cast<std::size_t>(at - parameters_.begin())] = value;
  }
  return bounds;
}

optim::Objective FitProblem::objective(const Assignments& lower, const Assignments& upper) const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  optim::Objective o;
  o.size = std::ssize(parameters_);
  o.lower = bounds_of(lower, "--lower", -kInfinity);
  o.upper = bounds_of(upper, "--upper", kInfinity);
  std::vector<double> roots = data_.weights;
  for (auto& w : roots) w = std::sqrt(w);
  o.residuals = [this, roots](ValueSpan in) {
    const Value r =
        side(formula_.right, in[0], data_.columns) - side(formula_.left, in[0], data_.columns);
    if (roots.empty()) return Values{r};
    return Values{r * constant(Array::from(roots, {std::ssize(roots)}))};
  };
  return o;
}

std::vector<double> FitProblem::computed(const optim::Expression& expression,
                                         const std::vector<double>& x,
                                         const std::vector<std::vector<double>>& columns) const {
  const Fn f = [&](ValueSpan in) { return Values{side(expression, in[0], columns)}; };
  return evaluate(f, {Array::from(x, {std::ssize(x)})}).at(0).to_vector();
}

std::vector<double> FitProblem::left(const std::vector<double>& x) const {
  return computed(formula_.left, x, data_.columns);
}

std::vector<double> FitProblem::right(const std::vector<double>& x,
                                      const std::vector<std::vector<double>>* columns) const {
  return computed(formula_.right, x, columns ? *columns : data_.columns);
}

void FitProblem::require_finite_start() const {
  const auto measured = left(start_), model = right(start_);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const bool left_bad = !std::isfinite(measured[i]);
    if (!left_bad && std::isfinite(model[i])) continue;
    std::string values;
    for (std::size_t c = 0; c < data_.names.size(); ++c)
      values += fmt::format("{}{} = {:g}", c > 0 ? ", " : "", data_.names[c], data_.columns[c][i]);
    throw Error(ErrorKind::usage,
                fmt::format("\"{}\" is {} at the start, where {}",
                            (left_bad ? formula_.left : formula_.right).text(),
                            left_bad ? measured[i] : model[i], values),
                fmt::format("{}:{}", data_.where, data_.lines[i]),
                left_bad ? "leave such rows out, or change the left side"
                         : "give other values with --start, or leave such rows out");
  }
}

}  // namespace descent::cli
