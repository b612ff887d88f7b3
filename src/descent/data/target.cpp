#include "descent/data/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "descent/base/error.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr std::size_t kMostNumberClasses = 20;  // more different whole numbers are regression
constexpr std::size_t kMostTextClasses = 10'000;

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto comma = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, comma - begin);
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    parts.push_back(std::move(part));
    begin = comma + 1;
  }
  return parts;
}

std::vector<std::size_t> find_columns(const Table& table, const Options& options,
                                      bool& by_default) {
  if (options.has("target")) {
    const auto& word = options.text("target");
    if (word.find(',') == std::string::npos || table.find(word) != nullptr) {
      return {find_column(table, word, "data.target")};
    }
    std::vector<std::size_t> columns;
    for (const auto& part : split_commas(word)) {
      columns.push_back(find_column(table, part, "data.target"));
    }
    return columns;
  }
  std::vector<std::size_t> columns(table.columns.size());
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  if (columns.empty()) {
    throw Error(ErrorKind::data, "there are no targets", table.where,
                "name their file with data.targets");
  }
  if (table.block) return columns;  // a block's columns are its labels
  by_default = true;
  return {columns.back()};
}

// Said to be classes, or at most 20 different values, all whole.
bool looks_like_classes(const Column& column) {
  if (column.labels) return true;
  std::set<double> seen;
  for (const double x : column.numbers) {
    if (std::isnan(x)) continue;
    if (x != std::floor(x)) return false;
    seen.insert(x);
    if (seen.size() > kMostNumberClasses) return false;
  }
  return true;
}

Task find_task(const Table& table, const Target& target, const Options& options) {
  const std::string asked = options.has("task") ? options.text("task") : "auto";
  bool text = false;
  for (const auto c : target.columns) text |= table.columns[c].kind == Column::Kind::text;
  const auto& name = table.columns[target.columns.front()].name;
  if (asked == "regression" && text) {
    throw Error(ErrorKind::data,
                fmt::format("target \"{}\" is text, regression needs numbers", name), table.where,
                "set data.task = \"classification\", or name another target");
  }
  if (target.columns.size() > 1) {
    if (asked == "classification" || text) {
      throw Error(ErrorKind::usage, "classification takes one target column", "data.target");
    }
    return Task::regression;
  }
  if (asked == "regression") return Task::regression;
  if (asked == "classification" || text) return Task::classification;
  return looks_like_classes(table.columns[target.columns.front()]) ? Task::classification
                                                                   : Task::regression;
}

void number_classes(const Column& column, Target& target) {
  std::map<double, std::int64_t> classes;
  for (const double x : column.numbers) {
    if (!std::isnan(x)) classes.emplace(x == 0 ? 0.0 : x, 0);  // -0 is 0
  }
  std::int64_t k = 0;
  for (auto& [value, code] : classes) {
    code = k++;
    target.classes.push_back(format_number(value));
  }
  for (const double x : column.numbers) {
    target.codes.push_back(std::isnan(x) ? -1 : classes.at(x == 0 ? 0.0 : x));
  }
}

void text_classes(const Column& column, Target& target) {
  std::vector<bool> used(column.dictionary.size());
  for (const auto code : column.codes) {
    if (code >= 0) used[static_cast<std::size_t>(code)] = true;
  }
  std::map<std::string, std::int64_t> classes;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) classes.emplace(column.dictionary[i], 0);
  }
  std::int64_t k = 0;
  for (auto& [name, code] : classes) {
    code = k++;
    target.classes.push_back(name);
  }
  for (const auto code : column.codes) {
    target.codes.push_back(
        code < 0 ? -1 : classes.at(column.dictionary[static_cast<std::size_t>(code)]));
  }
}

void check_classes(const Column& column, const Target& target, const Table& table) {
  const auto n = target.classes.size();
  if (n < 2) {
    throw Error(ErrorKind::data,
                n == 0 ? fmt::format("target \"{}\" is empty in every row", column.name)
                       : fmt::format("target \"{}\" is the same in every row: {}", column.name,
                                     printable(target.classes[0])),
                table.where, "name another with data.target");
  }
  if (column.labels) return;
  const auto rows = static_cast<std::size_t>(table.rows);
  if (n > kMostTextClasses || (n > kMostNumberClasses && 2 * n > rows)) {
    throw Error(
        ErrorKind::data,
        fmt::format("target \"{}\" has {} different values in {} rows: not classes", column.name,
                    with_commas(static_cast<std::int64_t>(n)), with_commas(table.rows)),
        table.where, "name another with data.target, or set data.task = \"regression\"");
  }
}

}  // namespace

std::size_t find_column(const Table& table, const std::string& word, const char* option) {
  const auto n = table.columns.size();
  for (std::size_t c = 0; c < n; ++c) {
    if (table.columns[c].name == word) return c;
  }
  if (word == "last" && n > 0) return n - 1;
  std::int64_t index = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), index);
  const auto count = static_cast<std::int64_t>(n);
  if (error == std::errc() && stop == word.data() + word.size() && index >= -count &&
      index < count) {
    return static_cast<std::size_t>(index < 0 ? index + count : index);
  }
  throw Error(ErrorKind::usage, fmt::format("{} has no column \"{}\"", table.where, word), option,
              n == 0 ? "it has no named columns" : did_you_mean(word, table.names()));
}

bool cell_missing(const Column& column, std::int64_t row) {
  const auto i = static_cast<std::size_t>(row);
  return column.kind == Column::Kind::numeric ? std::isnan(column.numbers[i]) : column.codes[i] < 0;
}

std::vector<std::int64_t> rows_with_target(const Table& table,
                                           const std::vector<std::size_t>& columns) {
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(table.rows));
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const auto missing = [&](std::size_t c) { return cell_missing(table.columns[c], row); };
    if (std::ranges::none_of(columns, missing)) rows.push_back(row);
  }
  return rows;
}

Target find_target(const Table& table, const Options& options) {
  Target target;
  target.columns = find_columns(table, options, target.by_default);
  target.task = find_task(table, target, options);
  if (target.task == Task::regression) return target;
  const Column& column = table.columns[target.columns.front()];
  if (column.kind == Column::Kind::numeric) {
    number_classes(column, target);
  } else {
    text_classes(column, target);
  }
  check_classes(column, target, table);
  return target;
}

}  // namespace descent::data
