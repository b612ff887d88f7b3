#include "descent/cli/minimize_problem.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/assignments.h"
#include "descent/data/csv.h"
#include "descent/data/npy.h"
#include "descent/ir/value.h"
#include "descent/ops/ops.h"
#include "descent/optim/expression.h"
#include "descent/optim/test_functions.h"

namespace descent::cli {
namespace {

[[noreturn]] void usage(const std::string& what, const std::string& where,
                        const std::string& remedy = {}) {
  throw Error(ErrorKind::usage, what, where, remedy);
}

// The elements of a formula without names: "1.5", "[1, 2]", "zeros(3)", "pi/2".
Array constant_array(const std::string& text, const std::string& where) {
  try {
    const auto formula = optim::Expression::parse(text);
    if (!formula.names().empty())
      usage(fmt::format("\"{}\" is no number", formula.names()[0]), where);
    const EagerScope scope({.shards = 1, .check_finite = false});
    return formula.build({}).array().clone();
  } catch (const Error& error) {
    throw error.at(where);
  }
}

using Assignments = std::vector<std::pair<std::string, std::string>>;

// "x=1,y=2" over all the texts. Values without a name (then all of them) have an empty one.
Assignments assignments(const std::vector<std::string>& texts, const std::string& option) {
  Assignments all;
  for (const auto& text : texts) {
    for (const auto& part : split_commas(text)) {
      if (part.empty()) usage(fmt::format("an empty part in \"{}\"", text), option);
      auto one = split_assignment(part);
      if (!one.first.empty() &&
          std::ranges::any_of(all, [&](const auto& other) { return other.first == one.first; }))
        usage(fmt::format("\"{}\" is given twice", one.first), option);
      all.push_back(std::move(one));
    }
  }
  const auto named = std::ranges::count_if(all, [](const auto& a) { return !a.first.empty(); });
  if (named != 0 && named != std::ssize(all))
    usage("some values have a name and some have none", option, "write x=1,y=2");
  return all;
}

Array read_numbers(const std::string& path) {
  if (path.ends_with(".npy")) {
    const auto array = data::decode_npy(read_unpacked(path), path);
    if (array.shape().rank() > 2)
      throw Error(ErrorKind::data, fmt::format("an array of shape {}", to_string(array.shape())),
                  path, "numbers, vectors and matrices can be used");
    return array.cast(DType::float64);
  }
  const auto table = data::parse_csv(read_unpacked(path), path, {.strict = true});
  const auto columns = std::ssize(table.columns);
  Array array(DType::float64, {table.rows, columns});
  for (std::int64_t c = 0; c < columns; ++c) {
    const auto& column = table.columns[static_cast<std::size_t>(c)];
    if (column.kind != data::Column::Kind::numeric)
      throw Error(ErrorKind::data, fmt::format("column {} holds text, not numbers", c + 1), path);
    for (std::int64_t r = 0; r < table.rows; ++r) {
      const double number = column.numbers[static_cast<std::size_t>(r)];
      if (!std::isfinite(number))
        throw Error(ErrorKind::data, fmt::format("no number in column {}", c + 1),
                    fmt::format("{}:{}", path, table.line_of(r)));
      array.set_item(r * columns + c, number);
    }
  }
  return columns == 1 ? array.reshaped({table.rows}) : array;
}

using Data = std::map<std::string, Array>;

// "A.csv,b.csv" or "A=some/file.csv".
Data read_data(const optim::Expression& formula, const std::vector<std::string>& texts) {
  Data data;
  for (const auto& text : texts) {
    for (const auto& part : split_commas(text)) {
      auto [name, path] = split_assignment(part);
      if (name.empty()) name = std::filesystem::path(path).stem().string();
      if (!formula.uses(name))
        usage(fmt::format("the formula has no \"{}\"", name), "--data " + path,
              did_you_mean(name, formula.names()) +
                  "\na file's name is the name in the formula, or write NAME=FILE");
      data[name] = read_numbers(path);
    }
  }
  return data;
}

void add_variable(Problem& problem, const std::string& name, const Array& value) {
  if (value.shape().rank() > 2) usage("numbers, vectors and matrices can be starts", "--start");
  problem.variables.push_back(
      {.name = name, .shape = value.shape(), .offset = problem.size(), .size = value.size()});
  for (const double v : value.to_vector()) problem.start.push_back(v);
}

// `needed`: the names that must have a start; others that the function `knows` (pi, e) may.
void bind_start(Problem& problem, const std::vector<std::string>& needed,
                const std::vector<std::string>& texts,
                const std::function<bool(const std::string&)>& knows) {
  auto given = assignments(texts, "--start");
  if (!given.empty() && given[0].first.empty()) {  // plain numbers, in order of appearance
    if (given.size() != needed.size())
      usage(fmt::format("{} start values for {} variables: {}", given.size(), needed.size(),
                        fmt::join(needed, ", ")),
            "--start");
    for (std::size_t i = 0; i < given.size(); ++i) given[i].first = needed[i];
  }
  for (const auto& [name, text] : given) {
    if (!knows(name))
      usage(fmt::format("there is no variable \"{}\"", name), "--start",
            needed.empty() ? "" : did_you_mean(name, needed));
    add_variable(problem, name, constant_array(text, "--start " + name));
  }
  std::vector<std::string> missing, example;
  for (const auto& name : needed) {
    const bool has =
        std::ranges::any_of(problem.variables, [&](const auto& v) { return v.name == name; });
    if (!has) missing.push_back(name);
    if (!has) example.push_back(name + "=0");
  }
  if (!missing.empty())
    usage(fmt::format("no start for {}", fmt::join(missing, ", ")), "--start",
          fmt::format("add it: --start {} (a vector: {}=zeros(3); data: --data {}.csv)",
                      fmt::join(example, ","), missing[0], missing[0]));
  if (problem.variables.empty())
    usage("the formula has no variable to minimise over", "", "for example \"(x - 1)^2\"");
}

std::vector<double> bounds(const Problem& problem, const std::vector<std::string>& texts,
                           const std::string& option, double none) {
  if (texts.empty()) return {};
  std::vector<double> all(problem.start.size(), none);
  std::vector<std::string> names;
  for (const auto& v : problem.variables) names.push_back(v.name);
  const auto set = [&](const Variable& v, const Array& value) {
    if (value.size() != 1 && value.size() != v.size)
      usage(fmt::format("{} bounds for the {} elements of \"{}\"", value.size(), v.size, v.name),
            option);
    for (std::int64_t i = 0; i < v.size; ++i)
      all[static_cast<std::size_t>(v.offset + i)] = value.item(value.size() == 1 ? 0 : i);
  };
  for (const auto& [name, text] : assignments(texts, option)) {
    const auto where = fmt::format("{} {}", option, name);
    const auto value = text == "inf" || text == "-inf"
                           ? Array::scalar(text == "inf" ? std::numeric_limits<double>::infinity()
                                                         : -std::numeric_limits<double>::infinity())
                           : constant_array(text, where);
    if (name.empty()) {  // one number for all
      for (const auto& v : problem.variables) set(v, value);
      continue;
    }
    const auto v = std::ranges::find(problem.variables, name, &Variable::name);
    if (v == problem.variables.end())
      usage(fmt::format("no variable is called \"{}\"", name), option, did_you_mean(name, names));
    set(*v, value);
  }
  return all;
}

Value bound_part(const Value& x, const Variable& v) {
  const Value part = slice(x, 0, v.offset, v.offset + v.size);
  return v.shape.rank() == 1 ? part : reshape(part, v.shape);
}

}  // namespace

std::vector<std::string> Problem::labels() const {
  std::vector<std::string> all;
  for (const auto& v : variables) {
    const auto width = v.shape.rank() == 2 ? v.shape[1] : 1;
    for (std::int64_t i = 0; i < v.size; ++i) {
      if (v.shape.rank() == 0) all.push_back(v.name);
      if (v.shape.rank() == 1) all.push_back(fmt::format("{}[{}]", v.name, i));
      if (v.shape.rank() == 2)
        all.push_back(fmt::format("{}[{},{}]", v.name, i / width, i % width));
    }
  }
  return all;
}

optim::Objective Problem::objective() const {
  auto made = function;
  made.size = size();
  made.lower = lower;
  made.upper = upper;
  return made;
}

namespace {

ScalarFn value_of(const optim::Expression& formula, const std::vector<Variable>& variables,
                  const Data& data) {
  return [=](ValueSpan in) {
    std::map<std::string, Value> bound;
    for (const auto& v : variables) bound[v.name] = bound_part(in[0], v);
    for (const auto& [name, array] : data) bound[name] = constant(array);
    const Value y = formula.build(bound);
    if (y.shape().size() != 1)
      throw Error(ErrorKind::usage,
                  fmt::format("the formula gives {}, not one number", to_string(y.shape())),
                  "formula", "what is minimised is a number: sum(...), mean(...) or norm(...)");
    return y.rank() == 0 ? y : reshape(y, {});
  };
}

Problem formula_problem(const ProblemText& text) {
  if (text.size != 0) usage("only test functions have a size", "--size");
  const auto formula = optim::Expression::parse(text.function);
  Problem problem = {.title = text.function, .formula = text.function};
  const auto data = read_data(formula, text.data);
  std::vector<std::string> needed;
  for (const auto& name : formula.names()) {
    if (!data.contains(name)) needed.push_back(name);
  }
  bind_start(problem, needed, text.start, [&](const std::string& name) {
    if (data.contains(name)) usage(fmt::format("\"{}\" is data already", name), "--start");
    return formula.uses(name);
  });
  problem.function.value = value_of(formula, problem.variables, data);
  return problem;
}

// Up to three variables are called x, y and z, as in their formulas; more are the vector x.
Problem named_problem(const std::string& name, const ProblemText& text) {
  if (!text.data.empty()) usage("a test function has no data", "--data");
  const auto known = optim::test_function(name, text.size);
  Problem problem = {.title = name, .formula = known.formula, .function = known.objective};
  problem.window = known.window;
  const auto n = std::ssize(known.start);
  const bool scalars = n <= 3;
  std::vector<std::string> names = {"x", "y", "z"};
  names.resize(scalars ? static_cast<std::size_t>(n) : 1);
  auto start = text.start;
  // The elements of a vector may be given plainly: --start -1.2,1.
  const bool plain = start.size() == 1 && start[0].find('=') == std::string::npos;
  if (plain && !scalars && !start[0].starts_with("[")) start[0] = "[" + start[0] + "]";
  if (start.empty()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (scalars) {
        add_variable(problem, names[i], Array::scalar(known.start[i]));
      } else {
        add_variable(problem, names[i], Array::from(known.start, {n}));
      }
    }
    return problem;
  }
  bind_start(problem, names, start, [&](const std::string& variable) {
    return std::ranges::find(names, variable) != names.end();
  });
  // The function takes its variables in its own order.
  const bool ordered = std::ranges::equal(problem.variables, names, {}, &Variable::name);
  if (!ordered || problem.size() != n)
    usage(ordered ? fmt::format("{} start values for {} variables", problem.size(), n)
                  : fmt::format("write the starts in the order {}", fmt::join(names, ", ")),
          "--start", text.size == 0 ? "--size sets their number" : "");
  return problem;
}

}  // namespace

Problem read_problem(const ProblemText& text) {
  auto name = text.function;
  std::ranges::replace(name, '-', '_');
  const auto names = optim::test_function_names();
  const bool word =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  const auto mgh = word && name.size() == 5 && name.starts_with("mgh");  // mgh07
  const bool known = mgh || std::ranges::find(names, name) != names.end();
  if (!known && word && text.start.empty()) {
    const auto near = closest(name, names);
    usage(fmt::format("no test function is called \"{}\"", text.function), "",
          near.empty() ? "descent minimize --list shows them; a formula needs --start"
                       : fmt::format("did you mean \"{}\"?", near));
  }
  auto problem = known ? named_problem(name, text) : formula_problem(text);
  const double infinity = std::numeric_limits<double>::infinity();
  problem.lower = bounds(problem, text.lower, "--lower", -infinity);
  problem.upper = bounds(problem, text.upper, "--upper", infinity);
  // Shapes that do not fit are told before anything runs.
  if (!known) {
    const GraphScope scope;
    problem.function.value(Values{input({DType::float64, Shape({problem.size()})}, "x")});
  }
  return problem;
}

}  // namespace descent::cli
